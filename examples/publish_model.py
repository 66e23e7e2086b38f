"""Turn a trained model into a file to give away: half precision, with a card that says what it is.

    python examples/publish_model.py RUN/model.safetensors --card card.yaml --out my-model.safetensors

`card.yaml` holds name, training_data, licence, intended_use and scores (see `endoseg info`); what it leaves out stays
as it is. Train with `--select last` where scores are to be taken on the validation frames: they then chose nothing.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import yaml

from endoseg_cli.networks.files.bundle import load_bundle, save_bundle


def publish(model: Path, card_file: Path, out: Path) -> None:
    """Write all networks of `model`, the corrective one too, with the card's fields, to `out`."""
    bundle = load_bundle(model)
    fields = yaml.safe_load(card_file.read_text(encoding="utf-8")) or {}
    save_bundle(replace(bundle, card=replace(bundle.card, **fields)), out, half=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="model file")
    parser.add_argument("--card", type=Path, required=True, help="YAML file with fields of the model card")
    parser.add_argument("--out", type=Path, required=True, help="model file to write")
    arguments = parser.parse_args()
    publish(arguments.model, arguments.card, arguments.out)
