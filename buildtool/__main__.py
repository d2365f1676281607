"""`python -m buildtool` is `bt`."""

import sys

if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the working directory: `json.py` of a project is not the `json` that is meant here
    from buildtool.door import main

    main()
