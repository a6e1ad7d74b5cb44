"""The systems of published papers, one module each, rebuilt to run on any labelled films of ours.

A recipe states its paper, the paper's figure and every difference of protocol, and reports both side by side.
"""
