"""Mistakes in the words of a sweep: misspelt keys, numbers out of range, more than the machine has."""

from __future__ import annotations

from bad_files import file
from bad_input import BadInput, sweep

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
