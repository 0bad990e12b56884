"""Makes the kept stores of layout 2.

They were made once, by the code of commit 52ee325, and are never made again: a later version of the package must
open what that version wrote. The program is kept to show how they came here::

    git clone . /tmp/before && git -C /tmp/before checkout 52ee325
    PYTHONPATH=/tmp/before/src:. python tests/layouts/layout-2/make.py

They hold what those of layout 1 hold, in files of the same names. ``../layout-1/make.py`` says what that is.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    spec = importlib.util.spec_from_file_location("make_layout_1", HERE.parent / "layout-1" / "make.py")
    assert spec is not None
    assert spec.loader is not None
    first = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(first)
    first.HERE = HERE
    first.main()


if __name__ == "__main__":
    main()
