"""One interrupt, however often it is sent; the handlers that were there come back."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from study import interrupts, schema
from study.training.module import Training
from study.training.runner import execute

pytestmark = pytest.mark.slow

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.mark.parametrize("number", SIGNALS, ids=["SIGINT", "SIGTERM"])
def test_the_first_signal_interrupts_and_further_ones_do_not_break_off_the_closing(number):
    before = [signal.getsignal(each) for each in SIGNALS]
    closed = []
    with pytest.raises(KeyboardInterrupt):
        with interrupts.orderly():
            try:
                os.kill(os.getpid(), number)
                pytest.fail("the signal passed unnoticed")
            finally:
                for again in SIGNALS:
                    os.kill(os.getpid(), again)
                closed.append(True)
    assert closed == [True]
    assert [signal.getsignal(each) for each in SIGNALS] == before


def test_a_run_inside_a_sweep_hands_the_signal_on(monkeypatch):
    """The inner handler raises; the outer one is in place again once the inner has ended."""
    with interrupts.orderly():
        outer = signal.getsignal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt), interrupts.orderly():
            assert signal.getsignal(signal.SIGTERM) is not outer
            os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is outer


def test_workers_are_stopped_and_waited_for_before_the_interrupt(monkeypatch):
    done = []

    class Worker:
        def terminate(self):
            done.append("terminate")

        def join(self, seconds):
            done.append(("join", seconds))

    monkeypatch.setattr(interrupts.multiprocessing, "active_children", lambda: [Worker(), Worker()])
    with pytest.raises(KeyboardInterrupt), interrupts.orderly():
        os.kill(os.getpid(), signal.SIGTERM)
    assert done == ["terminate"] * 2 + [("join", interrupts.PATIENCE)] * 2


class Interrupted:
    """Is interrupted while Python finalizes it, which loses the interrupt."""

    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_python_drops_ends_the_run_at_its_next_step(tiny, monkeypatch):
    training_step, steps = Training.training_step, []

    def step(self, *arguments):
        loss = training_step(self, *arguments)
        steps.append(self.global_step)
        if len(steps) == 3:
            Interrupted()
        return loss

    monkeypatch.setattr(Training, "training_step", step)
    config = tiny("train.steps=20", "trainer.checkpoint_every=1")
    with pytest.raises(KeyboardInterrupt):
        execute(config)
    assert steps == [0, 1, 2]
    interrupts.check()  # and nothing of it is left for the next run
    assert execute(config).state == "finished"


@pytest.fixture
def handled():
    """The signals that came to a scheduler's handler of SIGUSR2."""
    came, before = [], signal.getsignal(signal.SIGUSR2)
    signal.signal(signal.SIGUSR2, lambda number, _: came.append(number))
    yield came
    signal.signal(signal.SIGUSR2, before)


def test_a_schedulers_warning_comes_to_its_handler_once_all_is_closed(handled):
    with pytest.raises(KeyboardInterrupt), interrupts.orderly():
        try:
            os.kill(os.getpid(), signal.SIGUSR2)
            pytest.fail("the warning passed unnoticed")
        finally:
            assert handled == []
            handled.append("closed")
    assert handled == ["closed", signal.SIGUSR2]


def test_a_warning_that_nobody_handles_is_left_alone():
    before = signal.getsignal(signal.SIGUSR2)
    with interrupts.orderly():
        assert signal.getsignal(signal.SIGUSR2) == before == signal.SIG_DFL


def test_what_a_schedulers_handler_raises_is_no_failure_of_the_run(tiny):
    """submitit's does where the job may not queue again."""

    class NotQueuedAgain(Exception):
        pass

    def handle(*_):
        raise NotQueuedAgain

    before = signal.signal(signal.SIGUSR2, handle)
    config = tiny("train.steps=2000", "trainer.checkpoint_every=1", "train.stop_when_solved=false")
    folder = Path(config.runs) / schema.name(config)

    def warn():
        while not (folder / "last.ckpt").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGUSR2)

    thread = threading.Thread(target=warn)
    thread.start()
    try:
        with pytest.raises(NotQueuedAgain):
            execute(config)
    finally:
        thread.join()
        signal.signal(signal.SIGUSR2, before)
    assert (folder / "last.ckpt").exists() and not (folder / "record.json").exists()


def test_outside_the_main_thread_it_leaves_signals_alone():
    before, seen = [signal.getsignal(each) for each in SIGNALS], []

    def work():
        with interrupts.orderly():
            seen.append([signal.getsignal(each) for each in SIGNALS])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_this_process_is_nobodys_worker():
    assert not interrupts.is_worker()
