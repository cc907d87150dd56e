"""Every key of a recipe has a sentence, and what is shown reads back as the same recipe."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import Tensor, nn

from dfer.models import create_model, list_models
from dfer.models.cost import cost_of
from dfer.training import load_recipe, recipe_from
from dfer.training.config import Recipe, shipped_recipes
from dfer.training.described import documented, explained, keys_of, recipe_sentences

MANY = {
    "midas": {"softmax": 0.5}, "labels": {"rule": "softmax", "temperature": 2.0, "of": "frequency"},
    "model": {"name": "m3dfel", "bag": 2}, "data": {"stratum": ["clear", "mixed"]}, "init": {"freeze": ["a.*", "b"]},
}  # fmt: skip


def keys(values: object, place: str = "") -> set[str]:
    if not isinstance(values, dict):
        return {place}
    return set().union(*(keys(value, f"{place}.{name}".strip(".")) for name, value in values.items()))


@pytest.mark.parametrize("values", [{}, MANY, {"midas": {}}], ids=["defaults", "many", "midas"])
def test_every_key_is_there_once_with_a_sentence(values: dict[str, object]) -> None:
    recipe = recipe_from(values)
    found = keys_of(recipe)
    names = [f"{key.table}.{key.name}".strip(".") for key in found if key.given]
    assert len(names) == len(set(names)) and set(names) == keys(recipe.model_dump())
    assert [key.name for key in found if not key.sentence.endswith((".", "!", "?"))] == []


@pytest.mark.parametrize("name", list_models())
def test_every_option_of_every_network_has_a_sentence(name: str) -> None:
    options = [key for key in keys_of(recipe_from({"model": {"name": name}})) if key.table == "model"]
    assert len(options) > 1 and all(key.sentence for key in options)


@pytest.mark.parametrize("values", [{}, MANY], ids=["defaults", "many"])
def test_what_is_shown_is_the_recipe(values: dict[str, object], tmp_path: Path) -> None:
    recipe = recipe_from(values)
    (tmp_path / "shown.toml").write_text(explained(recipe), encoding="utf-8")
    assert load_recipe(tmp_path / "shown.toml") == recipe
    assert max(map(len, explained(recipe).splitlines())) <= 120


@pytest.mark.parametrize("name", shipped_recipes())
def test_what_is_shown_of_a_shipped_recipe_is_the_recipe(name: str, tmp_path: Path) -> None:
    (tmp_path / "shown.toml").write_text(explained(load_recipe(Path(name))), encoding="utf-8")
    assert load_recipe(tmp_path / "shown.toml") == load_recipe(Path(name))


def test_the_sentence_stands_above_its_key_and_choices_are_listed() -> None:
    text = explained(Recipe())
    assert "# The momentum of SGD.\nmomentum = 0.9\n" in text
    assert "One of cross_entropy, js, focal, logit_adjusted, dirichlet_multinomial." in text.replace("\n# ", " ")
    assert "# width = 16\n" in text and "\nwidth" not in text, "an option at its default is shown, and not set"
    assert 'midas = "off"\n' in text.partition("\n[")[0]


def test_sentences_are_read_from_google_style_docstrings() -> None:
    class Net:
        """A network.

        Args:
            emotions: K.
            width: of all layers,
                in channels.

        Returns:
            nothing: of interest.
        """

    class Late:
        def __init__(self, depth: int) -> None:
            """Build it.

            Args:
                depth: how many `layers`
            """

    assert documented(Net) == {"emotions": "K.", "width": "Of all layers, in channels."}
    assert documented(Late) == {"depth": "How many layers."}


def test_every_shipped_recipe_has_a_sentence_of_its_own() -> None:
    sentences = recipe_sentences()
    assert sentences.keys() == shipped_recipes().keys() and len(set(sentences.values())) == len(sentences)
    assert all(len(sentence) > 30 and sentence.endswith(".") for sentence in sentences.values())


@pytest.mark.parametrize(
    ("name", "weights", "operations"),
    [("r3d18", 33_371_472, 40.697), ("mc3_18", 11_695_440, 43.343), ("r2plus1d_18", 31_505_325, 40.519)],
)
def test_the_cost_of_a_network_is_that_of_the_literature(name: str, weights: int, operations: float) -> None:
    # torchvision's pages: weights with 400 classes, and G multiply-adds on 16 x 112 x 112.
    cost = cost_of(create_model(name, 400), (3, 16, 112, 112))
    assert cost.weights == weights and cost.flops / 2e9 == pytest.approx(operations, abs=0.001)
    assert cost.clips_per_second > 0


def test_the_cost_of_a_network_that_reads_its_numbers_is_counted_too() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(3 * 2 * 4 * 4, 5)

        def forward(self, clips: Tensor) -> Tensor:
            assert clips.max().item() <= 1  # which a tensor without memory cannot tell
            return self.head(clips.flatten(1))

    assert cost_of(Net(), (3, 2, 4, 4)).flops == 2 * 96 * 5
