"""What picks the settings of a stage, and what several stages are told."""

from collections.abc import Callable
from typing import Any

from fit.captions.settings import SamplingSettings
from fit.config.config import Config
from fit.config.model import Model
from fit.generated.settings import ChangeSettings, PipelineSettings
from fit.settings import written_settings

Job = dict[str, str]
"""The wildcards of a job."""
Pick = Callable[[Config, Job], dict[str, Any]]


def nothing(config: Config, job: Job) -> dict[str, Any]:
    """Pick nothing."""
    return {}


def sampling(config: Config, job: Job) -> dict[str, Any]:
    captions = config.corpora[job["corpus"]].captions
    return {"flags": [*written_settings(captions, SamplingSettings), f"--seed={config.seed}"]}


def loaded(model: Model, *also: type, without: tuple[str, ...] = ()) -> list[str]:
    """Return the flags that say which pipeline is loaded, with the changes of a derived model.

    Args:
        model: of the configuration.
        also: more settings classes that its section has.
        without: fields that are left out.
    """
    flags = written_settings(model, PipelineSettings, *also, without=without)
    # The jobs of other models are told nothing new, so that they do not run again.
    return [*flags, *written_settings(model.changes, ChangeSettings)] if model.base else flags
