"""Mistakes in a user's own configuration files and search spaces."""

from __future__ import annotations

from bad_files import OWN_SPACE, aliases, config, space_with
from bad_input import TINY, BadInput

OWN = "--config-dir conf space=mine"


def own_space(id: str, dimensions: str, *told: str, more: str = "") -> BadInput:
    """A user's space with a mistake, described."""
    return BadInput(id, "describe", OWN, told, space_with(dimensions, more))


def own_file(id: str, text: str | bytes, *told: str) -> BadInput:
    """A user's file with a mistake, described."""
    return BadInput(id, "describe", OWN, told, config(text))


CONFIG_FILES = [
    own_file("tag", "name: !!python/object/apply:os.system [touch canary]", "conf/space/mine.yaml, line 1", "no tags"),
    own_file("tag of a path", "name: !!python/object/apply:pathlib.Path [x]", "mine.yaml, line 1", "write the value"),
    own_file(
        "key twice", f"{OWN_SPACE}name: other\n", "each key once, got 'name' twice", "mine.yaml, line 7", "drop one"
    ),
    own_file("lists 10,000 deep", 10_000 * "[", "conf/space/mine.yaml, line 1", "at most 32 deep", "take out"),
    own_file("groups 5,000 deep", "\n".join(f"{level * ' '}a:" for level in range(500)), "at most 32 deep", "line 33"),
    own_file("alias bomb", aliases(12), "conf/space/mine.yaml", "at most 20,000 values", "fewer aliases"),
    own_file("alias of itself", "a: &a [*a]", "conf/space/mine.yaml, line 1", "cannot hold itself", "write it out"),
    own_file("no YAML", "name: [1, 2\n", "conf/space/mine.yaml, line 2", "must be YAML", "mend that line"),
    own_file("two documents", "a: 1\n---\nb: 2\n", "conf/space/mine.yaml, line 2", "must be YAML", "mend that line"),
    own_file("no text", b"\xff\xfe\x00a", "conf/space/mine.yaml", "must be UTF-8 text", "save it as UTF-8"),
    own_file("too much", f"# {300_000 * 'x'}", "conf/space/mine.yaml", "at most 262,144 bytes", "shorten it"),
    own_file("list in place of a group", "[1, 2]", "space must be a group of keys, got [1, 2]", "below space"),
    own_file("no space", "name: mine", "a space must have the key about", "add about: ..."),
    own_file(
        "unknown key in a space",
        f"{OWN_SPACE}dimension: 1",
        "unknown key in space 'dimension'",
        "did you mean dimensions?",
    ),
    BadInput("misspelt file", "describe", "--config-dir conf space=main", ("'main'", "mean mine?"), config(OWN_SPACE)),
    BadInput(
        "bomb among the defaults",
        "describe",
        "--config-dir conf space=outer",
        ("conf/space/mine.yaml", "at most 20,000 values"),
        lambda materials, folder: [
            config(aliases(12))(materials, folder),
            (folder / "conf" / "space" / "outer.yaml").write_text("defaults: [mine]\n"),
        ],
    ),
    BadInput(
        "number in quotes",
        "sweep",
        f"--config-dir conf {TINY} proxy=mine",
        ("proxy.width_scale must be a number, got '1e-1'", "write a number such as"),
        config('image_size: 16\nepochs: 1\nwidth_scale: "1e-1"\n', "proxy/mine"),
    ),
    BadInput(
        "NaN in a file",
        "sweep",
        f"--config-dir conf {TINY} proxy=mine",
        ("proxy.width_scale must be a finite number, got nan", "write a number"),
        config("image_size: 16\nepochs: 1\nwidth_scale: .nan\n", "proxy/mine"),
    ),
]

SPACES = [
    own_space("no dimension", "{}", "a space needs at least one dimension, got none in mine", "add one"),
    own_space(
        "no choices", "{idconv_groups: {vary: tied, choices: []}}", "choices of idconv_groups", "for example [2]"
    ),
    own_space("choices left out", "{idconv_groups: {vary: tied}}", "idconv_groups lacks choices", "add choices: [...]"),
    own_space("unknown field", "{idconv_grops: {vary: tied, choices: [1]}}", "unknown field", "mean idconv_groups?"),
    own_space("unknown way", "{idconv_groups: {vary: tide, choices: [1]}}", "way to vary", "'tide'", "mean tied?"),
    own_space(
        "choice of text", "{idconv_groups: {vary: tied, choices: [two]}}", "a whole number", "'two'", "example 2"
    ),
    own_space("choice NaN", "{ffn_ratio: {vary: tied, choices: [.nan]}}", "a number above 0, got nan", "example 2.5"),
    own_space("choice beyond bounds", "{idconv_groups: {vary: tied, choices: [2, 9999]}}", "at most 1,024", "smaller"),
    own_space("choice twice", "{idconv_kernel: {vary: tied, choices: [7, 7]}}", "must differ, got 7 twice", "drop"),
    own_space(
        "three of four stages", "{idconv_groups: {vary: tuple, choices: [[1, 2, 3]]}}", "each of the 4 stages", "4"
    ),
    own_space(
        "field twice",
        "[{field: depth, vary: tied, choices: [1]}, {name: d, field: depth, vary: tied, choices: [2]}]",
        "not have one field, got depth twice",
        "merge or drop one",
    ),
    own_space(
        "base not in it", "{idconv_kernel: {vary: tied, choices: [3, 5]}}", "must hold its base", "add the base's"
    ),
    own_space(
        "unknown rule",
        "{idconv_kernel: {vary: tied, choices: [7]}}",
        "unknown rule",
        "mean each_stage_mixes?",
        more="rules: [each_stage_mix]\n",
    ),
    BadInput(
        "no network is legal",
        "describe",
        OWN,
        ("the base must be in its own space", "rule widths_never_shrink", "drop the rule"),
        config(
            "name: mine\nabout: x\nbase: {variant: transxnet_t, stages: {width: [96, 48, 224, 448]}}\n"
            "dimensions: {idconv_kernel: {vary: tied, choices: [7]}}\nrules: [widths_never_shrink]\n"
        ),
    ),
    BadInput("unknown base", "describe", "space.base=transxnet_x", ("unknown variant 'transxnet_x'", "transxnet_t?")),
    BadInput("matched width", "describe", "space=transxnet match=gmacs", ("must not vary it", "match=gmacs", "width")),
]
