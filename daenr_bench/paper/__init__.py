"""The paper's tables and figures from the results of a sweep, with intervals and tests; no torch.

`experiment` answers what a sweep has; `layouts` says where it stands in the paper, `filling` puts it there with its
interval (`statistics`) and the paper's own figure (`published`); `comparisons` tests the claims; `document` makes
sections of all that, which `page` and `markdown` write down, and `csv_files` writes the figures themselves.
"""
