"""Which score stands where in the paper's tables and figures, and what it is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from daenr_bench.paper.experiment import Place
from daenr_bench.paper.metrics import INSIGNIFICANT, MSE, PSNR, SIGNIFICANT, SSIM, Metric
from daenr_train.spec import AUTOENCODERS, LAYERS, READOUTS

IMAGES = (MSE, PSNR, SSIM)


@dataclass(frozen=True)
class Spot:
    """One cell.

    Attributes:
        column: its column, in full.
        place: whose score it shows.
        metric: which score.
        rivals: cells with the same rivals compete for the bold face; empty for none.
        against: its baseline; None for a cell that is one, or has none.
        family: the claim that the comparison with the baseline is part of, e.g. `CAE-FR against CAE`.
    """

    column: str
    place: Place
    metric: Metric
    rivals: str = ""
    against: Place | None = None
    family: str = ""


@dataclass(frozen=True)
class Row:
    """A row; `starts_part` draws a line above it."""

    title: str
    spots: tuple[Spot, ...]
    starts_part: bool = False


@dataclass(frozen=True)
class Layout:
    """A table of the paper, or the figures that one of its drawings shows.

    Attributes:
        ident: `table2`, as its grid is called.
        caption: what it shows.
        corner: head of the first column.
        groups: titles above the columns, with how many each stands over; empty for none.
        heads: of the other columns.
        rows: all of them.
    """

    ident: str
    caption: str
    corner: str
    groups: tuple[tuple[str, int], ...]
    heads: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def name(self) -> str:
        """`Table 2`."""
        return f"{self.ident[:-1].capitalize()} {self.ident[-1]}"

    @property
    def spots(self) -> tuple[Spot, ...]:
        """All cells, by row."""
        return tuple(spot for row in self.rows for spot in row.spots)


def region_title(region: str) -> str:
    """`Region 1` for `region1`; other names as they are."""
    number = region.removeprefix("region")
    return f"Region {number}" if number.isdigit() else region


def model_title(model: str) -> str:
    """As the paper writes it: `VQ-VAE-FR2` for `vqvae-fr2`."""
    return model.upper().replace("VQVAE", "VQ-VAE")


def table2(regions: Sequence[str]) -> Layout:
    """Reconstruction by CAE and CAE-FR, on each region."""
    models = ("cae", *(f"cae-fr{layer}" for layer in LAYERS))

    def spot(model: str, region: str, metric: Metric) -> Spot:
        column = f"{region_title(region)} {metric.name}"
        return _against_autoencoder(column, Place(region, model), metric, rivals=column)

    rows = (Row(model_title(m), tuple(spot(m, r, metric) for r in regions for metric in IMAGES)) for m in models)
    return Layout(
        "table2",
        "Reconstruction of the test images, with all neurons of each region. Bold: the best of each column.",
        "model",
        tuple((region_title(region), len(IMAGES)) for region in regions),
        _heads(IMAGES, len(regions)),
        tuple(rows),
    )


def table3(region: str) -> Layout:
    """Reconstruction by CAE-FR that are fitted to the significant, or to the insignificant, neurons alone."""
    metrics = (MSE, SSIM, PSNR)

    def spots(model: str, metric: Metric) -> Iterable[Spot]:
        chosen, others = (Place(region, model, neurons) for neurons in ("significant", "insignificant"))
        family = "CAE-FR, significant against insignificant"
        column = f"{region_title(region)} {metric.name}"
        yield Spot(f"{column} significant", chosen, metric, metric.key, others, family)
        yield Spot(f"{column} insignificant", others, metric, metric.key)

    models = tuple(f"cae-fr{layer}" for layer in LAYERS)
    rows = (Row(model_title(m), tuple(spot for metric in metrics for spot in spots(m, metric))) for m in models)
    return Layout(
        "table3",
        f"Reconstruction of the test images of {region_title(region)} by models that were fitted to the neurons alone "
        "that a first fit predicted significantly, or to the others alone. Bold: the best of each metric.",
        "model",
        tuple((metric.head, 2) for metric in metrics),
        ("significant", "insignificant") * len(metrics),
        tuple(rows),
    )


def table4(regions: Sequence[str], correlation: Metric) -> Layout:
    """Correlation by CNN-FR and CAE-FR, on each region."""
    models = tuple(f"{stem}-fr{layer}" for layer in LAYERS for stem in ("cnn", "cae"))

    def spot(region: str, model: str) -> Spot:
        return _against_encoder(model_title(model), Place(region, model), correlation, rivals=f"{region} {model[-1]}")

    rows = (Row(region_title(region), tuple(spot(region, model) for model in models)) for region in regions)
    return Layout(
        "table4",
        "Correlation of predicted with recorded responses. Bold: the better of the two models of a layer.",
        "region",
        (),
        tuple(map(model_title, models)),
        tuple(rows),
    )


def table5(region: str) -> Layout:
    """Reconstruction by all autoencoders, alone and with each readout on each layer."""

    def spot(model: str, layer: int, metric: Metric) -> Spot:
        column = f"{region_title(region)} h{layer} {metric.name}"
        place = Place(region, f"{model}{layer}" if "-" in model else model)
        return _against_autoencoder(column, place, metric, rivals=f"{model.partition('-')[0]} {column}")

    def row(model: str) -> Row:
        spots = (spot(model, layer, metric) for layer in LAYERS for metric in IMAGES)
        return Row(model_title(model), tuple(spots), starts_part="-" not in model)

    models = [f"{stem}{part}" for stem in AUTOENCODERS for part in ("", *(f"-{readout}" for readout in READOUTS))]
    return Layout(
        "table5",
        f"Reconstruction of the test images of {region_title(region)}, with all neurons. An autoencoder alone reads "
        "out no layer: its figures are repeated. Bold: the best of each column among those with the same autoencoder.",
        "model",
        tuple((f"h{layer}", len(IMAGES)) for layer in LAYERS),
        _heads(IMAGES, len(LAYERS)),
        tuple(map(row, models)),
    )


def table6(regions: Sequence[str], correlation: Metric) -> Layout:
    """Correlation by all models with a readout, on each region and layer."""

    def spot(stem: str, region: str, layer: int) -> Spot:
        column = f"{region_title(region)} h{layer}"
        rivals = f"{stem.partition('-')[2]} {column}"
        return _against_encoder(column, Place(region, f"{stem}{layer}"), correlation, rivals)

    def row(trunk: str, readout: str) -> Row:
        stem = f"{trunk}-{readout}"
        spots = (spot(stem, region, layer) for region in regions for layer in LAYERS)
        return Row(model_title(stem), tuple(spots), starts_part=trunk == "cnn")

    return Layout(
        "table6",
        "Correlation of predicted with recorded responses. Bold: the best of each column among those with the same "
        "readout.",
        "model",
        tuple((region_title(region), len(LAYERS)) for region in regions),
        tuple(f"h{layer}" for layer in LAYERS) * len(regions),
        tuple(row(trunk, readout) for readout in READOUTS for trunk in ("cnn", *AUTOENCODERS)),
    )


def figure3(regions: Sequence[str]) -> Layout:
    """Numbers of significant and insignificant neurons by CNN-FR and CAE-FR, on each region."""

    def spots(region: str, model: str) -> Iterable[Spot]:
        place, title = Place(region, model), region_title(region)
        yield _against_encoder(f"{title} significant", place, SIGNIFICANT, rivals=f"{region} {model[-1]}")
        yield Spot(f"{title} insignificant", place, INSIGNIFICANT)

    models = tuple(f"{stem}-fr{layer}" for layer in LAYERS for stem in ("cnn", "cae"))
    return Layout(
        "figure3",
        "Neurons that are predicted significantly (p ≤ 0.05), and those that are not. Bold: more of a layer's two.",
        "model",
        tuple((region_title(region), 2) for region in regions),
        ("significant", "insignificant") * len(regions),
        tuple(Row(model_title(m), tuple(spot for r in regions for spot in spots(r, m))) for m in models),
    )


def figure4(region: str) -> Layout:
    """Numbers of significant and insignificant neurons by CAE-FR, on one region."""
    metrics = (SIGNIFICANT, INSIGNIFICANT)

    def row(layer: int) -> Row:
        place = Place(region, f"cae-fr{layer}")
        columns = (f"{region_title(region)} {metric.name.split()[0]}" for metric in metrics)
        spots = (Spot(column, place, metric) for column, metric in zip(columns, metrics, strict=True))
        return Row(model_title(place.model), tuple(spots))

    caption = f"Neurons of {region_title(region)} that are predicted significantly (p ≤ 0.05), and those that are not."
    return Layout("figure4", caption, "model", (), ("significant", "insignificant"), tuple(map(row, LAYERS)))


def _heads(metrics: Sequence[Metric], times: int) -> tuple[str, ...]:
    return tuple(metric.head for metric in metrics) * times


def _against_autoencoder(column: str, place: Place, metric: Metric, rivals: str) -> Spot:
    """A cell whose baseline, if it is of a joint model, is the autoencoder alone."""
    trunk, _, readout = place.model.partition("-")
    if not readout:
        return Spot(column, place, metric, rivals)
    return Spot(column, place, metric, rivals, Place(place.region, trunk), _family(place.model, trunk))


def _against_encoder(column: str, place: Place, metric: Metric, rivals: str) -> Spot:
    """A cell whose baseline, if it is of a joint model, is the encoder that only predicts responses."""
    trunk, _, readout = place.model.partition("-")
    if trunk == "cnn":
        return Spot(column, place, metric, rivals)
    baseline = f"cnn-{readout}"
    return Spot(column, place, metric, rivals, Place(place.region, baseline), _family(place.model, baseline[:-1]))


def _family(model: str, baseline: str) -> str:
    return f"{model_title(model[:-1])} against {model_title(baseline)}"
