"""Every private name of torch that varshift reads, and what happens where a release lacks it.

torch promises nothing about names that begin with an underscore, so each stands here once, and no
other file may use one (`tests/house/test_private_names.py`). Not counted are the dicts in which a
module holds what it holds (`_parameters`, `_buffers`, `_modules`), which people have always relied
on, and the names of operations (`aten::_softmax`), which are compared and never looked up.

`classes`: base classes of layers. `tensors`: version counters, storages, schemas. `state`: modes,
flags and hooks of a thread and a process. `compiler`: what is compiled, and how to run it plainly.
`backward`: gradients while a mode is on.
"""
