"""What `train.py` and `evaluate.py` are started by: help, and errors in words a person can act on."""

import inspect
import os
import re
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import hydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, InstantiationException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mfif.config import CONFIG_DIR, register_schemas
from mfif.errors import InputError, suggest
from mfif.files import FULL_DISK
from mfif.help import help_text

_OURS = "MFIF_SHORT_ERRORS"


def run_entry_point(main: Callable[[], Any], config_name: str) -> int:
    """Run a Hydra entry point; say a user's mistake in one sentence and everything else with its traceback.

    Args:
        main: A function decorated with `hydra.main`.
        config_name: The root configuration it composes.

    Returns:
        Exit status: 0 for success, 1 for a user's mistake, 130 for an interruption from the keyboard.
    """
    if {"--help", "-h"} & set(sys.argv[1:]):
        print(help_text(CONFIG_DIR, config_name))  # noqa: T201
        return 0
    full = os.environ.get("HYDRA_FULL_ERROR") == "1" and _OURS not in os.environ
    if not full:
        # Hydra then hands the exception over instead of printing it. Processes started from here must not take that
        # for the user's wish.
        os.environ.update({"HYDRA_FULL_ERROR": "1", _OURS: "1"})
    threading.excepthook = _thread_ended
    register_schemas()
    try:
        main()
    except KeyboardInterrupt:
        print("Interrupted. What was finished is on disk.", file=sys.stderr)  # noqa: T201
        return 130
    except Exception as error:
        sentence = None if full else _sentence(error, config_name)
        if sentence is None:
            raise
        print(f"error: {sentence}", file=sys.stderr)  # noqa: T201
        return 1
    finally:
        if not full:
            del os.environ["HYDRA_FULL_ERROR"], os.environ[_OURS]
    return 0


def _sentence(error: BaseException, config_name: str) -> str | None:
    """Word an error that is the user's; None for one that is ours."""
    if isinstance(error, InputError):
        return str(error)
    if (full_disk := _full_disk(error)) is not None:
        file = f" for {full_disk.filename}" if full_disk.filename else ""
        return f"No room left on the disk{file}. Free some, or choose another output folder; resume with resume=RUN."
    if _lost_rank(error):
        return "A process of this training ended or is out of reach; so do the others. Its own words come before these."
    if isinstance(error, InstantiationException):
        cause = error.__cause__
        place = re.search(r"full_key: (\S+)", str(error))
        where = f"{place[1]}: " if place else ""
        if isinstance(cause, InputError):
            return str(cause)
        return f"{where}{cause}" if isinstance(cause, ValueError | TypeError) or _misconfigured(cause) else None
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        return f"There is no {group}={option}.{suggest(option, error.options)} Options: {', '.join(error.options)}."
    if isinstance(error, ValueError) and "Config group override must be" in str(error):
        return "Expected an option of a group, as in GROUP=OPTION, got null. A group is left out by ~GROUP."
    if _misconfigured(error):
        return str(error)
    if isinstance(error, HydraException | OmegaConfBaseException):
        return _first_line(error) + _suggest_override(error, config_name)
    return None


def _misconfigured(error: BaseException | None) -> bool:
    """Whether Lightning says that the configuration is wrong; its module is not imported for that."""
    return type(error).__name__ == "MisconfigurationException"


def _full_disk(error: BaseException | None) -> OSError | None:
    """The full disk behind an error, which libraries wrap in errors of their own."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL_DISK:
            return error
        error = error.__cause__ or error.__context__
    return None


def _lost_rank(error: BaseException) -> bool:
    """Whether the communication between the processes of a training failed, be it gloo's or NCCL's."""
    return type(error).__name__ in ("DistBackendError", "DistNetworkError") or "/gloo/" in str(error)


def _thread_ended(arguments: threading.ExceptHookArgs) -> None:
    # A logger's thread that finds the disk full: the main thread meets it too and says so.
    if _full_disk(arguments.exc_value) is None:
        threading.__excepthook__(arguments)


def _first_line(error: BaseException) -> str:
    line = str(error).strip().splitlines()[0].rstrip(".")
    return f"{line}."


def _suggest_override(error: BaseException, config_name: str) -> str:
    """The nearest key to the one that an override or a file got wrong."""
    found = re.search(r"override '([^']+)'|Key '([^']+)'", str(error))
    if found is None:
        return ""
    path = found[1] or found[2]
    parent, _, key = path.rpartition(".")
    if found[1] and "override" in str(error) and "Could not find" in str(error):
        return ""
    config = _compose_groups(config_name, sys.argv[1:])
    node = OmegaConf.select(config, parent) if parent else config
    if not isinstance(node, DictConfig):
        return suggest(path, (str(name) for name in config))
    known = {str(name) for name in node}
    target = OmegaConf.to_container(node, resolve=False).get("_target_")  # type: ignore[union-attr]
    if target:
        parameters = set(inspect.signature(hydra.utils.get_object(target)).parameters)
        if key in parameters - known:
            return f" It has no value yet: give it one with +{path}=VALUE."
        known |= parameters
    return suggest(key, known)


def _compose_groups(config_name: str, arguments: Sequence[str]) -> DictConfig:
    """The configuration as the chosen groups make it, without the values given on the command line."""
    with hydra.initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        groups = hydra.core.global_hydra.GlobalHydra.instance().config_loader().list_groups("")  # type: ignore[attr-defined]
        words = [word for word in arguments if re.match(r"[+~]?[\w/@.]+=", word)]
        parsed = OverridesParser.create().parse_overrides(words)
        chosen = [str(override.input_line) for override in parsed if override.key_or_group.split("@")[0] in groups]
        return hydra.compose(config_name, overrides=chosen)
