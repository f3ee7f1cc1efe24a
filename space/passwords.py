"""No password on a command line: every user of the machine may read it there, and it is kept with the results."""

from __future__ import annotations

import re
from collections.abc import Iterable

_INTERPOLATION = re.compile(r"\$\{[\w.:]+\}")
_PASSWORDS = (
    re.compile(r"://[^:@/]*:.+@", re.DOTALL),  # scheme://user:password@host
    re.compile(r"url=(?!.*://).*:.+@", re.DOTALL),  # the same with a slip in what comes before
    re.compile(r"[?&](ssl)?password=[^&]"),
)
_KEY = re.compile(r"\+{0,2}[\w.]+")


def refuse_typed_passwords(words: Iterable[str]) -> None:
    """Raises ValueError, without telling it, if a word of the command holds a URL with a password.

    An interpolation such as ${oc.env:VARIABLE} may stand for one.
    """
    for word in words:
        typed = _INTERPOLATION.sub("", word)
        if any(password.search(typed) for password in _PASSWORDS):
            key = word.partition("=")[0]
            where = key if _KEY.fullmatch(key) else "a URL"
            raise ValueError(
                f"a command must hold no password, which others can read there, got one in {where}; leave it out there "
                f"and put it into ~/.pgpass, the file that PGPASSFILE names, or PGPASSWORD"
            )
