"""Speed of the networks on an accelerator, every engine in one run: `python -m mlcore bench`.

`runner` starts one process per engine (`worker`) and hands them the cases of `cases`, one at a time; `table` prints.
"""
