"""A user's mistakes: each ends with one line that names the word or file, the rule and the remedy, and writes nothing.

To add one, add an entry to a table below. `bad_input` says what an entry is and how it is run.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bad_files import (
    OWN_SPACE,
    aliases,
    arrays,
    bad_picture,
    config,
    cut_in_half,
    emptied,
    file,
    overwrite_all_pages_but_the_first,
    overwrite_page_in_the_middle,
    pictures,
    png,
    read_only,
    record,
    record_after,
    record_changed,
    somebody_elses,
    space_with,
    without,
)
from bad_input import BadInput, Materials, Prepare, exit_code, nothing, said_of, tree
from fake_sweep import work

from db import Store
from db.schema import VERSION_TABLE

STUDY = "tiny_demo-digits"
TINY = "space=tiny_demo data=digits proxy.image_size=16 proxy.epochs=2 data.cache={cache}"
OWN = "--config-dir conf space=mine"
PICTURES = "space=tiny_demo data=imagefolder data.path=pictures proxy.image_size=16 recipe.batch_size=2"
ARRAYS = "space=tiny_demo data=npz data.path=own.npz proxy.image_size=16 recipe.batch_size=2"


def sweep(id: str, words: str, *told: str, prepare: Prepare = nothing) -> BadInput:
    """A mistake in a sweep of tiny_demo on digits."""
    return BadInput(id, "sweep", f"{TINY} {words}", told, prepare)


def own_space(id: str, dimensions: str, *told: str, more: str = "") -> BadInput:
    """A user's space with a mistake, described."""
    return BadInput(id, "describe", OWN, told, space_with(dimensions, more))


def own_file(id: str, text: str | bytes, *told: str) -> BadInput:
    """A user's file with a mistake, described."""
    return BadInput(id, "describe", OWN, told, config(text))


def on_record(id: str, words: str, *told: str, prepare: Prepare = record) -> BadInput:
    """A mistake in a sweep of which the database is there, or what stands in its place."""
    return BadInput(id, "sweep", f"{TINY} {words}", told, prepare)


def own_data(id: str, words: str, *told: str, prepare: Prepare) -> BadInput:
    """A mistake in a user's data: not even the folder of the cache is made."""
    return BadInput(id, "sweep", words, told, prepare)


WORDS = [
    sweep("misspelt key", "trails=3", "unknown key 'trails'", "did you mean trials?"),
    sweep("misspelt key in a group", "proxy.image_sise=3", "'proxy.image_sise'", "did you mean proxy.image_size?"),
    sweep("key without its group", "learning_rate=1", "'learning_rate'", "did you mean recipe.learning_rate?"),
    sweep("added key", "+trails=3", "unknown key 'trails'", "did you mean trials?"),
    sweep("misspelt space", "space=idconv_grops", "unknown space 'idconv_grops'", "did you mean idconv_groups?"),
    sweep("misspelt data", "data=fotos", "unknown data 'fotos'", "did you mean photos?"),
    sweep("misspelt proxy", "proxy=quik", "unknown proxy 'quik'", "did you mean quick?"),
    sweep("misspelt search", "search=grd", "unknown search 'grd'", "did you mean grid?"),
    sweep("misspelt search by name", "search.name=grd", "unknown search.name 'grd'", "did you mean grid?"),
    sweep("misspelt scheduler", "scheduler.name=ahsa", "unknown scheduler.name 'ahsa'", "did you mean asha?"),
    sweep("misspelt storage", "storage=mysql", "unknown storage 'mysql'", "known are postgresql, sqlite"),
    sweep("misspelt objective", "objectives=[acuracy]", "objectives are some of", "did you mean accuracy?"),
    sweep("misspelt match", "match=gmac", "unknown match 'gmac'", "did you mean gmacs?"),
    sweep("misspelt kernels", "resources.kernels=nativ", "resources.kernels must be one of", "'nativ'", "write auto"),
    sweep("no key", "trials", "an override must be key=value, got 'trials'", "write key=value"),
    sweep("no group", "data=null", "a group takes a name", "'data=null'", "--help lists"),
    sweep("two names", "space=[tiny_demo,fnn]", "space/fnn", "--help lists the names"),
    sweep("unknown option", "--nonsense", "unrecognized arguments: --nonsense", "--help lists"),
    sweep("many runs in one", "--multirun seeds=1,2", "a command is one run", "--multirun", "leave it out"),
    sweep("list for a number", "seeds=1,2", "a key takes one value, got 'seeds=1,2'", "write seeds=[1,2]"),
    sweep("brackets that do not end", "objectives=[accuracy", "got 'objectives=[accuracy'", "quotes"),
    sweep("brackets 300 deep", "space.dimensions=" + 300 * "[" + 300 * "]", "at most 32 deep", "take out the inner"),
    sweep(
        "reference to nothing", "trials=${nothing}", "trials must refer to a value", "write a plain value for trials"
    ),
    sweep(
        "no such variable", "runs=${oc.env:NOT_SET_ANYWHERE}", "runs must refer", "NOT_SET_ANYWHERE", "write a plain"
    ),
    sweep("--config-dir of nowhere", "--config-dir nowhere", "--config-dir must name a folder", "'nowhere'", "FOLDER"),
]

NUMBERS = [
    sweep("trials 0", "trials=0", "trials must be between 1 and 1,000,000, got 0", "write for example 32"),
    sweep("trials -1", "trials=-1", "trials must be between 1 and", "got -1", "write for example 32"),
    sweep("trials 1e3", "trials=1e3", "trials must be a whole number, got 1000.0", "write trials=1000"),
    sweep("trials 10^12", "trials=1000000000000", "trials must be between 1 and 1,000,000", "write for example 32"),
    sweep("trials of text", "trials=many", "trials must be a whole number, got 'many'", "write digits alone"),
    sweep("seeds 0", "seeds=0", "seeds must be between 1 and 1000, got 0", "write for example 3"),
    sweep("seeds of truth", "seeds=true", "seeds must be a whole number, got True", "write digits alone"),
    sweep("seed -1", "seed=-1", "seed must be 0 or above, got -1", "write for example 0"),
    sweep(
        "learning rate NaN",
        "recipe.learning_rate=nan",
        "recipe.learning_rate must be a finite number, got nan",
        "such as 0.001",
    ),
    sweep("learning rate infinite", "recipe.learning_rate=inf", "must be a finite number, got inf", "write a number"),
    sweep("learning rate beyond floats", f"recipe.learning_rate={10**400}", "must be a finite number", "00...; write"),
    sweep("learning rate -1", "recipe.learning_rate=-1", "must be above 0, got -1.0", "recipe.learning_rate=0.003"),
    sweep("learning rate with a comma", "recipe.learning_rate='0,001'", "must be a number, got '0,001'", "write"),
    sweep("erasing 2", "recipe.erasing=2", "recipe.erasing must be between 0 and 1, got 2.0", "recipe.erasing=0.0"),
    sweep("one image a batch", "recipe.batch_size=1", "recipe.batch_size must be at least 2", "recipe.batch_size=64"),
    sweep("batch beyond the data", "recipe.batch_size=100000", "batch_size must be at most", "choose a batch_size of"),
    sweep("crop beyond the image", "recipe.crop_padding=99", "crop_padding must be below the image size", "smaller"),
    sweep("flip of text", "recipe.flip=yes", "recipe.flip must be true or false, got 'yes'", "write true or false"),
    sweep("width scale NaN", "proxy.width_scale=nan", "proxy.width_scale must be a finite number", "write a number"),
    sweep("width scale 0", "proxy.width_scale=0", "proxy.width_scale must be above 0", "proxy.width_scale=0.167"),
    sweep("image of 100,000 px", "proxy.image_size=100000", "proxy.image_size must be at most 4,096", "image_size=32"),
    sweep("epochs 0", "proxy.epochs=0", "proxy.epochs must be at least 1, got 0", "write for example proxy.epochs=5"),
    sweep("data share 2", "proxy.data_share=2", "proxy.data_share must be above 0 and at most 1", "data_share=0.2"),
    sweep("validation share 1", "data.validation_share=1", "data.validation_share must be above 0 and below 1", "0.1"),
    sweep("budget -1", "budget.max_gmacs=-1", "budget.max_gmacs must be above 0, got -1", "leave it out for no limit"),
    sweep("budget NaN", "budget.max_gmacs=nan", "budget.max_gmacs must be a finite number, got nan", "write"),
    sweep("no objective", "objectives=[]", "objectives must be one or more", "write objectives=[accuracy,gmacs]"),
    sweep("objective twice", "objectives=[gmacs,gmacs]", "different names", "write objectives=[accuracy,gmacs]"),
    sweep("grid without end", "space=everything", "search=grid trains every point", "write search=tpe trials=64"),
]

RESOURCES = [
    sweep("more CPUs than exist", "resources.cpus=1000", "a trial must fit a machine", "cpus=1000", "ask for less"),
    sweep("more GPUs than exist", "resources.gpus=300", "a trial must fit a machine", "gpus=300", "ask for less"),
    sweep("GPUs of halves", "resources.gpus=1.5", "resources.gpus must be", "got 1.5", "write resources.gpus=1"),
    sweep(
        "CPUs -1", "resources.cpus=-1", "resources.cpus must be above 0, got -1", "write for example resources.cpus=1"
    ),
    sweep("none at once", "resources.max_concurrent=0", "resources.max_concurrent must be at least 1", "write"),
    sweep(
        "no such device", "objectives=[accuracy,latency] latency.device=cuda:99", "latency.device must be there", "cpu"
    ),
    sweep("no such precision", "latency.dtype=int8", "latency.dtype must be one of", "got 'int8'", "float32"),
    sweep(
        "runs is a file", "runs=taken", "runs must be a folder", "taken is no folder", "runs=", prepare=file("taken")
    ),
    BadInput(
        "cache is a file",
        "sweep",
        "space=tiny_demo data=digits data.cache=taken",
        ("data.cache must be a folder", "taken is no folder", "write data.cache=FOLDER"),
        file("taken"),
    ),
]

NAMES = [
    sweep("study that climbs", "study=../x", "study must be 1 to 64 letters", "got '../x'", "try 'x'"),
    sweep("study with a slash", "study=a/b", "study must be 1 to 64 letters", "got 'a/b'", "try 'a-b'"),
    sweep("study of dots", "study=..", "not dots alone, got '..'", "try 'my-study'"),
    sweep("study of 65", f"study={65 * 'x'}", "study must be 1 to 64 letters", f"try '{64 * 'x'}'"),
    sweep("study of nothing", "study=", "study must be 1 to 64 letters", "got ''", "try 'my-study'"),
    sweep("space that climbs", "space.name=../x", "'../x-digits'", "try 'x-digits'"),
    sweep("no runs", "runs=", "runs must name a folder", "write for example runs"),
]

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

DATABASES = [
    sweep(
        "bare path as URL", "storage.url=runs.db", "named by a URL, got 'runs.db'", "write storage.url=sqlite:///PATH"
    ),
    sweep(
        "unknown dialect",
        "storage.url=mysql://me@host/x",
        "must be SQLite, or PostgreSQL",
        "me@host",
        "write",
    ),
    sweep(
        "a password for others to read",
        "storage.url=postgresql://me:secret@host/x",
        "a command must hold no password",
        "storage.url",
        "PGPASSFILE",
    ),
    sweep(
        "database in memory", "storage.url=sqlite:///:memory:", "must be a plain file", "write storage.url=sqlite:///"
    ),
    sweep(
        "database is a folder", "storage.url=sqlite:///taken", "is a folder", "name another", prepare=file("taken/x")
    ),
    sweep("database below a file", "storage.url=sqlite:///taken/x", "is not a folder", "name", prepare=file("taken")),
    BadInput(
        "no server",
        "report",
        "study=x storage.url='postgresql://me@127.0.0.1:1/x?connect_timeout=2'",
        ("cannot open the database", "me@127.0.0.1:1/x", "see that the server runs"),
    ),
    *(
        BadInput(f"{id}, {command}", command, words, told, prepare)
        for command, words in {
            "sweep": TINY,
            "report": f"study={STUDY}",
            "export": f"study={STUDY} name=fine",
            "dashboard": "",
        }.items()
        for id, told, prepare in (
            (
                "database of text",
                ("must be a SQLite file", "runs/transxnet.db is none", "name another file"),
                file("runs/transxnet.db", b"not a database, " * 300),
            ),
            (
                "database of zero bytes",
                ("runs/transxnet.db is empty", "put a backup in its place, or delete it"),
                file("runs/transxnet.db"),
            ),
            (
                "pages corrupt",
                ("must be whole, got sqlite:///", "runs/transxnet.db", "damaged", "put a backup"),
                record_changed(overwrite_all_pages_but_the_first),
            ),
            (
                "database read-only",
                ("must be writable", "runs/transxnet.db is not", "name another file"),
                record_changed(read_only),
            ),
            (
                "schema newer",
                ("got revision '9999'", "upgrade transxnet-search"),
                record_after(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"),
            ),
        )
    ),
    on_record(
        "one page corrupt", "", "damaged (", "put a backup", prepare=record_changed(overwrite_page_in_the_middle)
    ),
    on_record("database cut off", "", "damaged (", "put a backup", prepare=record_changed(cut_in_half)),
    on_record("somebody else's database", "", "holds other tables (patients)", "name another", prepare=somebody_elses),
    BadInput(
        "one page corrupt, dashboard",
        "dashboard",
        "",
        ("damaged (", "put a backup"),
        record_changed(overwrite_page_in_the_middle),
    ),
    BadInput("no database, report", "report", "study=x", ("no database of sweeps at", "run a sweep first")),
    BadInput("no database, export", "export", "study=x name=y", ("no database of sweeps at", "run a sweep first")),
    BadInput("no database, dashboard", "dashboard", "", ("no database of sweeps at", "run a sweep first")),
]

RESUMED = [
    on_record(
        "with another space",
        f"space=idconv_groups study={STUDY}",
        "a study keeps its settings",
        STUDY,
        "space.name:",
        "study=NAME",
    ),
    on_record(
        "with other choices",
        "space.dimensions.idconv_groups.choices=[1,2,4,8]",
        "keeps its settings",
        "space.dimensions:",
        "study=NAME",
    ),
    on_record(
        "with another objective",
        "objectives=[accuracy,params]",
        '["accuracy", "gmacs"] -> ["accuracy", "params"]',
        "study=NAME",
    ),
    on_record("with other data", "data.split_seed=1", "data.fingerprint:", "study=NAME"),
    on_record(
        "with another recipe", "recipe.learning_rate=0.001", "recipe.learning_rate: 0.003 -> 0.001", "study=NAME"
    ),
    on_record("with another proxy", "proxy.epochs=3", "fidelity.epochs: 2 -> 3", "study=NAME"),
    on_record("with latency", "objectives=[accuracy,latency]", "latency: null ->", "study=NAME"),
]

DATA = [
    own_data("no path", "data=npz", "data set npz needs a path", "write data.path=FILE_OR_FOLDER", prepare=nothing),
    own_data(
        "path for what needs none", "data=digits data.path=x", "takes no path", "leave data.path out", prepare=nothing
    ),
    own_data("folder of images is nowhere", PICTURES, "needs an existing folder, got", "data.path=", prepare=nothing),
    own_data(
        "no val", PICTURES, "pictures/val is missing", "train/CLASS/ and val/CLASS/", prepare=pictures(without("val"))
    ),
    own_data(
        "one class",
        PICTURES,
        "at least two classes, got",
        "train/cat alone",
        "add a folder",
        prepare=pictures(lambda root: [without("train/dog")(root), without("val/dog")(root)]),
    ),
    own_data(
        "empty class", PICTURES, "train/dog is empty", "add images or remove it", prepare=pictures(emptied("train/dog"))
    ),
    own_data(
        "class of one split",
        PICTURES,
        "must have the same classes",
        "'dog'",
        "add or remove its folder",
        prepare=pictures(without("val/dog")),
    ),
    own_data(
        "corrupt image",
        PICTURES,
        "train/dog/bad.png cannot be used",
        "data.skip_bad_images=true",
        prepare=bad_picture(png(30, 30)[:45]),
    ),
    own_data("image of text", PICTURES, "train/dog/bad.png cannot be used", "remove it", prepare=bad_picture(b"text")),
    own_data(
        "image of 1 x 1", PICTURES, "bad.png cannot be used (1 x 1 px", "remove it", prepare=bad_picture(png(1, 1))
    ),
    own_data(
        "bomb of 2,500,000,000 pixels",
        PICTURES,
        "bad.png cannot be used (Image size (2500000000 pixels)",
        "remove",
        prepare=bad_picture(png(50_000, 50_000)),
    ),
    own_data(
        "bomb of 144,000,000 pixels",
        PICTURES,
        "bad.png cannot be used (12000 x 12000 px are more than",
        "remove",
        prepare=bad_picture(png(12_000, 12_000)),
    ),
    own_data(
        "class of bad images alone",
        f"{PICTURES} data.skip_bad_images=true",
        "train/dog has none",
        "add some",
        prepare=pictures(lambda root: [path.write_bytes(b"") for path in (root / "train" / "dog").iterdir()]),
    ),
    own_data(
        "skipping where nothing can be skipped",
        f"{ARRAYS} data.skip_bad_images=true",
        "unknown key",
        "data.",
        prepare=arrays(),
    ),
    own_data("npz is nowhere", ARRAYS, "needs an existing .npz file", "write data.path=FILE.npz", prepare=nothing),
    own_data("npz of text", ARRAYS, "own.npz must be an .npz file", "numpy.savez", prepare=file("own.npz", b"text")),
    own_data(
        "npz cut off",
        ARRAYS,
        "own.npz must be an .npz file",
        "numpy.savez",
        prepare=file("own.npz", b"PK\x03\x04 and no more"),
    ),
    own_data(
        "npz lacks arrays",
        ARRAYS,
        "own.npz must have the arrays",
        "lacks y_test",
        "save all four",
        prepare=arrays(y_test=None),
    ),
    own_data(
        "npz of floats",
        ARRAYS,
        "own.npz: x_train must be uint8",
        "got float64",
        "convert the images",
        prepare=arrays(x_train=np.zeros((40, 8, 8))),
    ),
    own_data(
        "npz of objects",
        ARRAYS,
        "own.npz must be an .npz file with plain arrays",
        "allow_pickle",
        "numpy.savez",
        prepare=arrays(y_train=np.array([{}] * 40)),
    ),
    own_data(
        "npz of two lengths",
        ARRAYS,
        "own.npz: y_test must be whole numbers [8]",
        "save class numbers from 0",
        prepare=arrays(y_test=np.zeros(7, int)),
    ),
    own_data(
        "npz of one class",
        ARRAYS,
        "own.npz: y_train must have at least two classes",
        "add images",
        prepare=arrays(y_train=np.zeros(40, int), y_test=np.zeros(8, int)),
    ),
    own_data(
        "npz with a gap in the classes",
        ARRAYS,
        "y_train must have every class",
        "number the classes 0 to 1",
        prepare=arrays(y_train=np.arange(40) % 2 * 2),
    ),
    own_data(
        "npz with labels below 0",
        ARRAYS,
        "y_train must have every class",
        "from -1 to",
        "number the classes 0",
        prepare=arrays(y_train=np.arange(40) % 2 - 1),
    ),
    own_data(
        "CIFAR-10 is nowhere",
        "data=cifar10 data.path=batches",
        "needs cifar-10-python.tar.gz",
        "data.path=",
        prepare=nothing,
    ),
    own_data(
        "CIFAR-10 cut off",
        "data=cifar10 data.path=c.tar.gz",
        "c.tar.gz must be the archive",
        "again",
        prepare=file("c.tar.gz", b"\x1f\x8b\x08\0 and no more"),
    ),
]

EXPORTS = [
    BadInput(f"export name {id}", "export", f"study={STUDY} name={name}", told, record)
    for id, name, told in (
        ("that climbs", "../x", ("Python identifier", "got '../x'", "try 'x'")),
        ("with a slash", "a/b", ("Python identifier", "got 'a/b'", "try 'a_b'")),
        ("with a hyphen", "my-variant", ("Python identifier", "try 'my_variant'")),
        ("of nothing", "", ("Python identifier", "got ''", "try 'my_variant'")),
        ("of 65", 65 * "x", ("at most 64 letters", f"try '{64 * 'x'}'")),
        ("of a model of timm", "resnet50", ("name must be new to timm, got 'resnet50'", "choose another")),
        ("of a model of ours", "transxnet_t", ("name must be new to timm, got 'transxnet_t'", "choose another")),
    )
] + [
    BadInput("export of nothing", "export", "name=x", ("study must be given", "add study=..."), record),
    BadInput("export without a name", "export", f"study={STUDY}", ("name must be given", "add name=..."), record),
    BadInput(
        "misspelt study", "export", "study=tiny_demo-digit name=x", ("no study named", f"did you mean {STUDY}?"), record
    ),
    BadInput("unknown pick", "export", f"study={STUDY} name=x pick=bset", ("pick must be best", "'bset'"), record),
    BadInput(
        "unknown weights", "export", f"study={STUDY} name=x weights=tral", ("weights 'tral'", "mean trial?"), record
    ),
    BadInput(
        "seed of text",
        "export",
        f"study={STUDY} name=x seed=one",
        ("seed must be a whole number", "write digits alone"),
        record,
    ),
    BadInput(
        "variants is a file",
        "export",
        f"study={STUDY} name=x variants=runs/transxnet.db",
        ("runs/transxnet.db", "write variants=FOLDER for another"),
        record,
    ),
]

OTHERS = [
    BadInput("report of nothing", "report", "", ("study must be given", "add study=..."), record),
    BadInput(
        "report of a misspelt study", "report", "study=tiny_demo-digts", ("no study named", f"mean {STUDY}?"), record
    ),
    BadInput(
        "report of a path", "report", "study=../x", ("study must be 1 to 64 letters", "got '../x'", "try 'x'"), record
    ),
    BadInput(
        "report into a file",
        "report",
        f"study={STUDY} out=runs/transxnet.db",
        ("runs/transxnet.db", "choose another with out=FOLDER"),
        record,
    ),
    BadInput("report with an unknown key", "report", f"study={STUDY} outt=x", ("'outt'", "did you mean out?"), record),
    BadInput("port 0", "dashboard", "port=0", ("port must be between 1 and 65535, got 0", "port=8080"), record),
    BadInput("port of text", "dashboard", "port=http", ("port must be a whole number", "write digits alone"), record),
    BadInput("dashboard with an unknown key", "dashboard", "prot=80", ("'prot'", "did you mean port?"), record),
    BadInput(
        "describe 0 samples", "describe", "samples=0", ("samples must be at least 1, got 0", "for example 100000")
    ),
    BadInput(
        "describe text samples", "describe", "samples=many", ("samples must be a whole number", "write digits alone")
    ),
    BadInput("describe a misspelt key", "describe", "spase=ffn", ("unknown key 'spase'", "did you mean space?")),
    BadInput(
        "describe a budget 0", "describe", "budget.max_gmacs=0", ("budget.max_gmacs must be above 0, got 0", "leave")
    ),
    BadInput("describe seed -1", "describe", "seed=-1", ("seed must be 0 or above, got -1", "write for example 0")),
    BadInput(
        "describe into a file",
        "describe",
        "space=tiny_demo out=taken",
        ("out must be a folder", "choose another"),
        file("taken"),
    ),
    BadInput("build with an unknown option", "build", "--foldr x", ("unrecognized arguments: --foldr x", "--help")),
    BadInput(
        "build into a file",
        "build",
        "--folder taken",
        ("--folder must be a folder", "taken", "name another"),
        file("taken"),
    ),
]

TABLES = (WORDS, NUMBERS, RESOURCES, NAMES, CONFIG_FILES, SPACES, DATABASES, RESUMED, DATA, EXPORTS, OTHERS)


@pytest.fixture(scope="session")
def materials(tmp_path_factory: pytest.TempPathFactory) -> Materials:
    """A study as the command leaves it, of which only the training is made up."""
    folder = tmp_path_factory.mktemp("materials")
    with pytest.MonkeyPatch.context() as patch:
        run_without_ray(patch)
        patch.chdir(folder)
        made = Materials(folder / "runs" / "transxnet.db", folder / "cache")
        assert exit_code("sweep", made.words(TINY), patch) == 0
    return Materials(one_file(made.record, folder / "whole.db"), made.cache)


def one_file(database: Path, copy: Path) -> Path:
    """A copy with all that still stands in the write-ahead log: connections may be open."""
    with closing(sqlite3.connect(database)) as source:
        source.execute("VACUUM INTO ?", [str(copy)])
    with closing(sqlite3.connect(copy)) as target:
        target.execute("PRAGMA journal_mode = WAL")
    return copy


def run_without_ray(patch: pytest.MonkeyPatch) -> None:
    """Let sweeps record accuracies that nobody trained."""
    import experiments.conduct
    import experiments.sweep
    from experiments.slots import Slots

    def run(driver: Any, *others: Any, **options: Any) -> bool:
        work(driver)
        return True

    patch.setattr(experiments.sweep, "connected", nullcontext)
    patch.setattr(experiments.conduct, "plan_slots", lambda resources: Slots(1, 0, 1))
    patch.setattr(experiments.conduct, "trial_nodes", lambda resources: [])
    patch.setattr(experiments.conduct, "require_able_nodes", lambda *asked: None)
    patch.setattr(experiments.conduct, "run", run)


@pytest.mark.parametrize("entry", [entry for table in TABLES for entry in table], ids=lambda entry: entry.id)
def test_a_mistake_ends_with_one_line_that_tells_it_and_writes_nothing(
    entry: BadInput,
    materials: Materials,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = said_of(entry, materials, tmp_path, monkeypatch, capsys)
    assert not [piece for piece in entry.told if piece not in said], said


def test_every_mistake_has_a_name_of_its_own() -> None:
    names = [entry.id for table in TABLES for entry in table]
    assert len(names) == len(set(names))
    assert len(names) >= 60


def test_without_the_mistake_the_same_commands_go_through(
    materials: Materials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that it is the mistake which is refused: numbers as people write them, two good files, the study itself."""
    run_without_ray(monkeypatch)
    materials.copy_record(tmp_path)
    monkeypatch.chdir(tmp_path)
    words = materials.words(TINY)
    assert exit_code("sweep", words, monkeypatch) == 0
    config("image_size: 16\nwidth_scale: 1e-1\nepochs: 2\n", "proxy/mine")(materials, tmp_path)
    file("conf/space/mine.yaml", OWN_SPACE.encode())(materials, tmp_path)
    file("conf/space/broken.yaml", b"[[[")(materials, tmp_path)  # of no concern
    own = [*OWN.split(), "proxy=mine", "recipe.learning_rate=1e-3", "trials=1"]
    assert exit_code("sweep", own + [word for word in words if word.startswith("data")], monkeypatch) == 0
    assert exit_code("describe", ["--config-dir", "conf", "space=mine"], monkeypatch) == 0
    assert capsys.readouterr().err == ""
    with Store.open("sqlite:///runs/transxnet.db", create=False) as store:
        study = store.study("mine-digits")
        assert (study.recipe["learning_rate"], study.fidelity["width_scale"]) == (0.001, 0.1)
        assert [found.name for found in store.studies()] == [STUDY, "mine-digits"]


def test_bad_images_are_skipped_where_it_is_asked_told_and_counted_in_the_record(
    materials: Materials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_without_ray(monkeypatch)
    monkeypatch.chdir(tmp_path)
    for name, content in {"a.png": b"text", "b.png": png(1, 1), "c.png": png(50_000, 50_000)}.items():
        if not (tmp_path / "pictures").exists():
            pictures(lambda root: None)(materials, tmp_path)
        file(f"pictures/train/dog/{name}", content)(materials, tmp_path)
    before = tree(tmp_path / "pictures")
    for _ in range(2):  # made, then from the cache
        assert exit_code("sweep", [*PICTURES.split(), "data.skip_bad_images=true", "trials=1"], monkeypatch) == 0
        assert "3 files that cannot be used were skipped, " in capsys.readouterr().out.replace("\n", " ")
    assert tree(tmp_path / "pictures") == before
    with Store.open("sqlite:///runs/transxnet.db", create=False) as store:
        data = store.study("tiny_demo-imagefolder").data
    assert data["skipped_images"] == 3
    assert sum(data["sizes"].values()) == 16
