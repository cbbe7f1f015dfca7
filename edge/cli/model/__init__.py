"""``jidoka model …``: what a model is, how to feed it, how fast it runs here, how right it is.

One module a verb; each imports what is heavy inside its function.
"""

from __future__ import annotations

import typer

from edge.cli.model.bank import bank
from edge.cli.model.bench import bench
from edge.cli.model.calibrate import calibrate
from edge.cli.model.check import check
from edge.cli.model.eval import evaluate
from edge.cli.model.inspect import inspect
from edge.cli.model.pack import pack
from edge.cli.model.quantize import quantize
from edge.cli.model.show import show

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Look into, pack, try and measure models.")
app.command()(bank)
app.command()(bench)
app.command()(calibrate)
app.command()(check)
app.command("eval")(evaluate)
app.command()(inspect)
app.command()(pack)
app.command()(quantize)
app.command()(show)
