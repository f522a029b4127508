"""What `daenr-train stimuli` prints."""

from __future__ import annotations

import click

from daenr_common.cli import print_table
from daenr_train.stimuli.command import StimuliRequest, run_stimuli


def stimuli_from_request(request: StimuliRequest) -> None:
    """Search and say how much the images excite their neurons.

    Raises:
        DaenrError: as `run_stimuli`.
    """
    found, checkpoint = run_stimuli(request)
    rows = [
        (checkpoint.neuron_ids[neuron], *(f"{response:.4g}" for response in responses))
        for neuron, *responses in zip(
            found.neurons, found.grey[list(found.neurons)], *(found.own(kind) for kind in found.images), strict=True
        )
    ]
    print_table(["neuron", "response to grey", *found.images], rows)
    click.echo(f"wrote {request.output}")
