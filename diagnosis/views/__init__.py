"""The pages of the flow, by what people come for: `send`, `films`, `reporting`, `history`, `images`, `system`.

Views read through selectors, change through services, record reads of patient data before the page leaves.
"""
