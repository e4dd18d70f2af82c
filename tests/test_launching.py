"""What a run asks a cluster for, and what is said of a launcher that is not there."""

import hydra
import pytest
from omegaconf import OmegaConf

from study import launching, schema
from study.help import explain

pytestmark = pytest.mark.slow

PLUGINS = {"ray_cluster": "hydra_ray_launcher", "slurm": "hydra_submitit_launcher"}


@pytest.fixture
def launcher(compose):
    """launcher("ray_cluster", "trainer=gpu"): what that launcher is told."""

    def told(name, *overrides):
        pytest.importorskip(f"hydra_plugins.{PLUGINS[name]}", reason=f"{PLUGINS[name]} is not installed")
        compose()  # makes the schema known
        launching.register()
        with hydra.initialize(version_base="1.3", config_path="../conf"):
            config = hydra.compose("config", [f"hydra/launcher={name}", *overrides], return_hydra_config=True)
            return OmegaConf.to_container(config.hydra.launcher, resolve=True)

    return told


@pytest.mark.parametrize(
    ("overrides", "asked"),
    [
        ([], {"num_cpus": 1, "num_gpus": 0}),
        (["trainer=gpu"], {"num_cpus": 1, "num_gpus": 1}),
        (["trainer=gpu", "trainer.gpus=0.25", "trainer.threads=2"], {"num_cpus": 2, "num_gpus": 0.25}),
    ],
)
def test_ray_is_asked_for_what_the_trainer_says(launcher, overrides, asked):
    told = launcher("ray_cluster", *overrides)["ray"]
    assert told["remote"] == asked
    assert told["init"]["object_store_memory"] is None  # else no running cluster can be joined


@pytest.mark.parametrize(
    ("overrides", "cpus", "gpus"), [([], 1, None), (["trainer=gpu", "trainer.threads=3"], 3, 1)], ids=["cpu", "gpu"]
)
def test_slurm_is_asked_for_what_the_trainer_says(launcher, overrides, cpus, gpus):
    told = launcher("slurm", *overrides)
    assert (told["cpus_per_task"], told["gpus_per_node"]) == (cpus, gpus)
    assert told["max_num_timeout"] > 0  # a run that takes longer than a job goes on in the next


def test_slurm_gives_no_part_of_a_gpu(launcher):
    with pytest.raises(Exception) as caught:  # noqa: B017 (of Hydra; users see it through explain)
        launcher("slurm", "trainer=gpu", "trainer.gpus=0.25")
    assert explain(caught.value) == (
        "error: trainer.gpus=0.25: Slurm gives a job whole GPUs: use trainer.gpus=1; runs that share one go side by side in a "
        "job of your own, by hydra/launcher=joblib hydra.launcher.n_jobs=4"
    )


@pytest.mark.parametrize("trainer", ["cpu", "gpu"])
def test_what_a_run_asks_for_makes_it_no_other_run(compose, trainer):
    plain, asking = compose(f"trainer={trainer}"), compose(f"trainer={trainer}", "trainer.gpus=0.5")
    assert schema.name(plain) == schema.name(asking)


@pytest.mark.parametrize(
    ("launcher", "said"),
    [
        ("joblip", "no hydra/launcher=joblip; did you mean joblib? there are basic, joblib, slurm, ray_cluster"),
        ("submitit_slurm", 'this launcher needs its plugin: pip install -c constraints.txt ".[slurm]"'),
        ("ray", 'this launcher needs its plugin: pip install -c constraints.txt ".[ray]"'),
    ],
)
def test_a_launcher_that_is_not_there_is_named_with_the_fix(launcher, said):
    assert launching.fix(launcher) == said
    for verb in ("find", "load"):
        error = hydra.errors.MissingConfigException(f"In 'config': Could not {verb} 'hydra/launcher/{launcher}'")
        assert explain(error) == f"error: {said}"
