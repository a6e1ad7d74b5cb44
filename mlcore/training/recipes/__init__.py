"""The systems of published papers, one module each, rebuilt to run on any labelled films of ours.

A recipe states its paper, the paper's figure and every difference of protocol, and reports both side by side.
`RECIPES` names them for `python -m mlcore recipe`; what such a module has is said in `common`.
"""

RECIPES = ("transfer_study", "varshni2019", "abiyev2018", "rahman2020", "chexnet2017", "chestnet2018")
