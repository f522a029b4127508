"""Many fits at once: a grid of models, regions and seeds, on the processes of this machine or on a Ray cluster.

`grid` says which fits; `plan` turns them into runs with a content address; an engine (`local`, `ray_engine`) executes
`job`s; `driver` hands them out and `folder` keeps what came back; `table` writes it as one table. To read a finished
sweep, without torch:

    from daenr_train.sweep.results import read_results
"""
