import pytest

from daenr_common.errors import SpecError
from daenr_train.spec import ModelSpec, model_names, parse_model_name


def test_the_paper_has_51_models():
    names = model_names()
    assert len(names) == len(set(names)) == 51
    assert sum("-" in name and not name.startswith("cnn") for name in names) == 36
    assert sum(name.startswith("cnn") for name in names) == 12


@pytest.mark.parametrize("name", model_names())
def test_a_name_and_its_spec_say_the_same(name):
    spec = parse_model_name(name, n_neurons=7)
    assert spec.name == name
    assert parse_model_name(name.replace("-", "_").upper(), n_neurons=7) == spec
    assert ModelSpec.from_json(spec.to_json()) == spec
    assert (spec.n_neurons == 0) == (spec.readout is None)


def test_features_halve_from_stage_to_stage():
    spec = parse_model_name("cae-fr2", n_neurons=1)
    assert [spec.features_shape(layer) for layer in (1, 2, 3, 4)] == [
        (32, 16, 16),
        (64, 8, 8),
        (128, 4, 4),
        (256, 2, 2),
    ]


@pytest.mark.parametrize(
    ("wrong", "nearest"), [("cae-fr5", "cae-fr"), ("cea-fr2", "cae-fr2"), ("vq-vae-fm1", "vqvae-fm1"), ("cnn", "cnn-")]
)
def test_a_wrong_name_suggests_the_nearest(wrong, nearest):
    with pytest.raises(SpecError, match=f"'{wrong}': does not exist; did you mean {nearest}"):
        parse_model_name(wrong, n_neurons=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"autoencoder": None, "readout": None, "n_neurons": 0}, "neither"),
        ({"autoencoder": "gan"}, "unknown parts 'gan'"),
        ({"layer": 5}, "layer: is 5"),
        ({"n_neurons": 0}, "n_neurons: is 0"),
        ({"kernel": 3}, "kernel − stride must be even"),
        ({"stride": 4, "kernel": 4}, r"stride⁴ must divide 32"),
        ({"channels": (1, 2, 3)}, "channels four"),
        ({"latent_units": 0}, "positive"),
    ],
)
def test_a_spec_that_is_no_model_is_refused(changes, message):
    values = parse_model_name("cae-fr2", n_neurons=3).to_json() | changes
    with pytest.raises(SpecError, match=message):
        ModelSpec.from_json(values)


@pytest.mark.parametrize("values", [{}, {"channels": None}, {"channels": [1, 2, 3, 4], "colour": "red"}])
def test_foreign_json_is_refused(values):
    with pytest.raises(SpecError, match="expected fields"):
        ModelSpec.from_json(values)
