"""Recipes: what is unknown or out of range is refused in one sentence, what is right comes back as it was."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfer import DferError, Midas
from dfer.files import write_text
from dfer.training import Recipe, load_recipe, recipe_from


def test_an_empty_recipe_is_the_defaults() -> None:
    assert recipe_from({}) == Recipe()
    assert Recipe().midas is None


def test_a_resolved_recipe_reads_back_the_same(tmp_path: Path) -> None:
    recipe = recipe_from(
        {
            "labels": {"rule": "dirichlet", "strength": 2.0, "prior": "class"}, "midas": {"alpha": 0.4, "per": "batch"},
            "augment": {"crop": [0.5, 1.0]}, "model": {"name": "m3dfel", "bag": 4}, "input": {"std": [0.5]},
        }
    )  # fmt: skip
    path = tmp_path / "recipe.toml"
    path.write_text(recipe.toml(), encoding="utf-8")
    assert load_recipe(path) == recipe
    assert recipe.labels.options == {"strength": 2.0, "prior": "class"}
    assert recipe.midas == Midas(alpha=0.4, per="batch")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("optim.lrr=1e-4", "unknown key optim.lrr (did you mean 'lr'?)"),
        ("augment.flp=0.5", "unknown key augment.flp (did you mean 'flip'?)"),
        ("midas.alfa=0.5", "unknown key midas.alfa (did you mean 'alpha'?)"),
        ("input.sizze=64", "unknown key input.sizze (did you mean 'size'?)"),
        ("epochs=1", "unknown key epochs (did you mean 'optim.epochs'?)"),
        ("sead=1", "unknown key sead (did you mean 'seed'?)"),
        ("optim.lr=-1", "optim.lr"),
        ("augment.flip=2", "probability"),
        ("midas.alpha=0", "alpha > 0"),
        ("input.std=[0.0]", "std > 0"),
        ("loss.name=focal_cross", "loss.name"),
        ("optim.epochs=ten", "optim.epochs"),
        ("optim.epochs=true", "optim.epochs: it should be a valid integer, got True"),
        ("optim.epochs=1000001", "optim.epochs"),
        ("optim.lr=10.5", "optim.lr: it should be less than or equal to 10"),
        ("optim.lr=inf", "optim.lr"),
        ("optim.batch=0", "optim.batch"),
        ("seed=" + "9" * 5_000, "seed: it should be a valid integer, got '9999"),
        ("seed=18446744073709551616", "seed"),
        ("seed=-1", "seed"),
        ("seed=1\n[optim]\nlr=1", "seed"),
        ("optim.threads=" + "[" * 5_000, "optim.threads"),
        (".".join("x" * 5_000) + "=1", "expected --set key=value"),
        ("x" * 5_000 + "=1", "unknown key xxx"),
        ("input.frames=5000", "1 to 4096 frames"),
        ("input={frames=64,size=1024}", "at most 16777216 pixels"),
        ("data.stratum=3", "data.stratum"),
        ("data.load_size=4097", "data.load_size"),
        ("labels.prior={a=1}", "labels.prior"),
        ('labels.prior=["a","b"]', "labels.prior"),
        ("labels.strength=nan", "labels.strength"),
        ("model.widths=[[1]]", "model.widths"),
        ("data=1", "data: it should be an object, got 1"),
        ("optim", "key=value"),
        ("seed.x=1", "not a table"),
        ("loss.gamma=1.0", 'loss.gamma is of loss.name = "focal" and does nothing in "cross_entropy"'),
        ("loss.tau=0.5", 'loss.tau is of loss.name = "logit_adjusted"'),
        ("optim.momentum=0.5", 'optim.momentum is of optim.name = "sgd" and does nothing in "adamw"'),
        ("optim.lr=1e-6", "optim.min_lr is 5e-06, above optim.lr = 1e-06"),
        ("data.load_size=64", "data.load_size is 64, below input.size = 112"),
        ("input.mean=[nan]", "a finite number"),
        ("labels.smoothing=1", "labels.smoothing: "),
        ("midas={prob=0.0}", "nothing would be mixed: midas.prob is 0"),
        ("augment.rotation=-10", "augment.rotation in [0, 180]"),
        ("augment={motion_blur=0.8,defocus=0.8}", "augment.motion_blur + augment.defocus <= 1"),
        ('loss={name="js",class_weights="balanced"}', 'loss.name = "js" has none; use loss.sampler'),
        ('loss={name="dirichlet_multinomial",class_weights="balanced"}', "use loss.sampler"),
    ],
)
def test_a_wrong_override_is_refused_in_one_sentence(tmp_path: Path, override: str, said: str) -> None:
    path = tmp_path / "r.toml"
    path.write_text("seed = 0\n", encoding="utf-8")
    with pytest.raises(DferError) as caught:
        load_recipe(path, [override])
    told = str(caught.value)
    assert said in told and "\n" not in told and len(told) <= 500


def test_what_is_no_file_of_text_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place, kind in ((tmp_path / "pipe", "a named pipe"), (tmp_path, "a folder"), (Path("/dev/zero"), "a device")):
        with pytest.raises(DferError, match=f"expected a file, got {kind}"):
            load_recipe(place)
    for name in ("x" * 5_000, "nul\0l"):
        with pytest.raises(DferError, match="cannot read the recipe"):
            load_recipe(Path(name))


NAMES = st.text(min_size=1, max_size=300) | st.sampled_from(
    ["\"quotes'", "line\nand\rreturn", "\x00\x1b[31m", "\u202eleft", "\N{GRINNING FACE}", "=1+1", "x" * 100_000]
)


@given(st.dictionaries(NAMES.filter(lambda key: key not in ("rule", "smoothing")), NAMES, max_size=3), NAMES)
@settings(max_examples=60, deadline=None)
def test_a_recipe_with_any_names_reads_back_the_same_or_is_refused(options: dict[str, str], name: str) -> None:
    try:
        recipe = recipe_from({"labels": {**options, "rule": name}, "seed": 2**63 - 1})
    except DferError:
        assert any(is_half(text) for text in (name, *options, *options.values()))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recipe.toml"
        write_text(path, recipe.toml())
        assert load_recipe(path) == recipe


def is_half(text: str) -> bool:
    """Whether it holds half of a pair of surrogates."""
    return any("\ud800" <= letter <= "\udfff" for letter in text)


@pytest.mark.parametrize(
    "loss", [{"class_weights": "balanced", "sampler": "balanced"}, {"name": "logit_adjusted", "sampler": "balanced"},
             {"name": "logit_adjusted", "class_weights": "balanced"}],
)  # fmt: skip
def test_emotions_are_balanced_in_one_way_only(loss: dict[str, str]) -> None:
    with pytest.raises(DferError, match=r"each of loss\.\w+.* balances the emotions by itself; leave all but one out"):
        recipe_from({"loss": loss})


def test_a_likelihood_of_votes_is_not_taken_of_labels_that_nobody_counted() -> None:
    with pytest.raises(DferError, match=r'is a likelihood of votes, which labels\.rule = "hard"'):
        recipe_from({"loss": {"name": "dirichlet_multinomial"}, "labels": {"rule": "hard"}})
    recipe_from({"loss": {"name": "dirichlet_multinomial"}})


def test_keys_that_the_chosen_name_reads_are_accepted() -> None:
    recipe_from({"loss": {"name": "focal", "gamma": 1.0, "class_weights": "balanced"}})
    recipe_from({"loss": {"name": "logit_adjusted", "tau": 0.5}, "optim": {"name": "sgd", "momentum": 0.5}})
    recipe_from({"loss": {"name": "logit_adjusted", "tau": 0.0, "sampler": "balanced"}})


def test_overrides_are_toml_values_and_bare_words_are_strings(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text("[midas]\nalpha = 0.8\n", encoding="utf-8")
    recipe = load_recipe(path, ["optim.lr=1e-4", "labels.rule=hard", "augment.crop=[0.5, 1.0]", "midas=off"])
    assert (recipe.optim.lr, recipe.labels.rule, recipe.augment.crop, recipe.midas) == (
        1e-4,
        "hard",
        (0.5, 1.0),
        None,
    )


@pytest.mark.parametrize(
    ("override", "key", "wanted"),
    [
        ("midas={alpha=0.8, blend= fade , keep_real=true}", "midas", ("fade", True)),
        ('midas={blend="fade",keep_real=false}', "midas", ("fade", False)),
        ("init.freeze=[encoder.*, head]", "init", ("encoder.*", "head")),
    ],
)
def test_bare_words_within_tables_and_lists_are_strings_too(
    tmp_path: Path, override: str, key: str, wanted: tuple[object, ...]
) -> None:
    path = tmp_path / "r.toml"
    path.write_text("", encoding="utf-8")
    recipe = load_recipe(path, [override])
    assert (recipe.init.freeze if key == "init" else (recipe.midas.blend, recipe.midas.keep_real)) == wanted


def test_a_missing_or_broken_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(DferError, match="cannot read the recipe"):
        load_recipe(tmp_path / "none.toml")
    (tmp_path / "broken.toml").write_text("[optim\n", encoding="utf-8")
    with pytest.raises(DferError, match="cannot be read as TOML"):
        load_recipe(tmp_path / "broken.toml")


def test_a_run_of_midas_that_would_never_mix_is_refused() -> None:
    with pytest.raises(DferError, match=r"^the recipe: nothing would be mixed: .* midas=off$"):
        recipe_from({"midas": {"alpha": 0.8}, "optim": {"epochs": 5, "unmixed_epochs": 5}})
    assert recipe_from({"optim": {"epochs": 5, "unmixed_epochs": 5}}).midas is None


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("loss.name=kl", "loss.name"),
        (
            "midas={pairing='rare'}",
            'midas.pairing = "rare" is no longer there; leave it out: partners are drawn at random',
        ),
        ("midas={counts=true}", "midas.counts = true is no longer there; leave it out: shares of votes are mixed"),
    ],
)
def test_what_recipes_no_longer_have_is_refused_with_what_to_do(override: str, said: str) -> None:
    with pytest.raises(DferError, match=re.escape(said)):
        load_recipe(Path("demo"), [override])


def test_the_recipes_of_former_runs_are_read() -> None:
    former = {"midas": {"alpha": 0.4, "counts": False, "pairing": "random"}}
    assert recipe_from(former).midas == Midas(alpha=0.4) and "counts" in former["midas"]
