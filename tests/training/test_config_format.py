"""Settings that came later must not change what an older run computes when it goes on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import yaml

from endoseg_cli.data.sets.sources import SourcesConfig
from endoseg_cli.training.settings.config import TrainConfig
from endoseg_cli.training.settings.config_file import (
    BEFORE_FORMAT_2,
    FORMAT,
    build_config,
    merge_settings,
    read_config,
    read_record,
    write_config,
)
from endoseg_cli.training.strategies.mutual_learning import PAPER_FORM

LATER = ("method", "certainty", "settle_over", "mutual_form")


def old_run(path: Path) -> Path:
    """Write the config of a run from before there were methods."""
    training = dataclasses.asdict(TrainConfig(unsupervised_weight=0.5, labeled_cross=True, reduction="all"))
    for name in LATER:
        del training[name]
    del training["augment"]["strong"]["at_least"]
    content = {"training": training, "record": {"versions": {}, "data_digest": "x"}}
    path.write_text(yaml.safe_dump(yaml.safe_load(yaml.safe_dump(_lists(content)))))
    return path


def _lists(value: object) -> object:
    if isinstance(value, dict):
        return {key: _lists(item) for key, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, tuple | list) else value


def test_an_older_run_goes_on_as_it_was(tmp_path: Path) -> None:
    config = build_config(TrainConfig, read_config(old_run(tmp_path / "config.yaml"))["training"], "training.")
    assert config.method == "endo-semis" and config.certainty == "own" and config.settle_over == "learned"
    assert config.mutual_form == PAPER_FORM and config.augment.strong.at_least == 0
    assert config.unsupervised_weight == 0.5 and config.labeled_cross and config.reduction == "all"
    assert {*BEFORE_FORMAT_2} == {*LATER, "augment"}


def test_a_run_of_now_and_a_file_that_somebody_wrote_mean_what_they_say(tmp_path: Path) -> None:
    config = TrainConfig(method="fixmatch", certainty="both")
    write_config(tmp_path / "config.yaml", SourcesConfig(labeled=(tmp_path,)), config, {"data_digest": "x"})
    assert read_record(tmp_path / "config.yaml")["config_format"] == FORMAT
    assert build_config(TrainConfig, read_config(tmp_path / "config.yaml")["training"], "training.") == config
    (tmp_path / "own.yaml").write_text("training: {epochs: 3}")
    assert build_config(TrainConfig, read_config(tmp_path / "own.yaml")["training"], "") == TrainConfig(epochs=3)


def test_settings_are_merged_section_by_section() -> None:
    first = {"a": 1, "augment": {"strong": {"at_least": 0}, "weak": {"affine": 0.5}}}
    second = {"augment": {"strong": {"probability": 0.3}, "weak": {"affine": 0.1}}}
    assert merge_settings(first, second) == {
        "a": 1,
        "augment": {"strong": {"at_least": 0, "probability": 0.3}, "weak": {"affine": 0.1}},
    }
