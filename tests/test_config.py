"""What is checked of a configuration, and what is left out of it."""

import pytest
from omegaconf import OmegaConf

from mfif.config import check_config, leave_out
from mfif.errors import InputError


def test_nested_nodes_are_checked() -> None:
    kernels = {"_target_": "mfif.synthesis.PaperKernels", "sigmaa": 1.0}
    config = OmegaConf.create({"outer": {"_target_": "mfif.synthesis.Synthesizer", "kernels": kernels}})
    with pytest.raises(InputError, match=r"outer\.kernels\.sigmaa.*sigma"):
        check_config(config)


def test_null_leaves_a_member_out_and_nothing_else() -> None:
    nodes = {
        "callbacks": {"curves": None, "best": {"monitor": None}},
        "metrics": {"EN": None, "VIFF": {"scale": 1}},
        "benchmark": {"root": None, "lytro": None},
        "resume": None,
    }
    config = OmegaConf.create(nodes)
    OmegaConf.set_struct(config, True)
    leave_out(config)
    left = {"callbacks": {"best": {"monitor": None}}, "metrics": {"VIFF": {"scale": 1}}, "benchmark": {"root": None}}
    assert config == left | {"resume": None}
    assert OmegaConf.is_struct(config)
