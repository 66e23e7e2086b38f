"""Turn a finished run into a model file to give away: half precision, with a card that says what it is.

    python examples/publish_model.py RUN --card card.yaml --out my-model.safetensors

`card.yaml` holds name, training_data, licence, intended_use and scores (see `endoseg info`). The weights are those of
the run's last step, not the ones that validated best: so the validation frames were not used to choose among steps, and
scores on them are not flattered by that.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import yaml

from endoseg_cli.networks.bundle import Bundle, load_bundle, save_bundle
from endoseg_cli.training.checkpoint import load_checkpoint


def publish(run: Path, card_file: Path, out: Path) -> None:
    """Write the networks of `run`'s last checkpoint, with the card's fields, to `out`."""
    bundle = load_bundle(run / "model.safetensors")
    checkpoint = load_checkpoint(run / "last.pt")
    for network, saved in zip(bundle.networks, checkpoint["networks"], strict=True):
        network.load_state_dict(saved["network"])
    fields = yaml.safe_load(card_file.read_text(encoding="utf-8"))
    save_bundle(Bundle(card=replace(bundle.card, **fields), networks=bundle.networks), out, half=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="run folder of endoseg train")
    parser.add_argument("--card", type=Path, required=True, help="YAML file with fields of the model card")
    parser.add_argument("--out", type=Path, required=True, help="model file to write")
    arguments = parser.parse_args()
    publish(arguments.run, arguments.card, arguments.out)
