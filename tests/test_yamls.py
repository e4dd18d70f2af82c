"""YAML is read as OmegaConf reads it, in a tenth of the time."""

import pytest
import yaml
from omegaconf import OmegaConf

from study import yamls

TEXT = """
base: &base {rate: 1e-3, steps: 1E4, name: "1e-3", on: true, none: null}
own: {<<: *base, rate: 0.5, "deep.key": [1, -2e+2, .5, e3, 1e, 8e42ab, "8e42"]}
over: {<<: [*base, {rate: 2}]}
text: ${base.rate}
"""


def test_as_omegaconf_reads_it(tmp_path):
    path = tmp_path / "some.yaml"
    path.write_text(TEXT, encoding="utf-8")
    assert yamls.read(path) == OmegaConf.to_container(OmegaConf.load(path))


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3", "{a: {b: 1, b: 1}}", "x: &x {a: 1}\ny: {<<: *x, b: 1, b: 2}"])
def test_a_key_that_is_given_twice_is_refused(text):
    with pytest.raises(yaml.YAMLError, match="the key '.' is given twice"):
        yamls.parse(text)
    with pytest.raises(yaml.YAMLError):
        OmegaConf.create(text)
