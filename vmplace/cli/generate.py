"""``vmplace generate`` and ``convert``: synthetic clusters, and other forms of a document."""

from typing import TYPE_CHECKING, Any

import click

from vmplace.cli.exits import DONE, blaming, refuse_output
from vmplace.cli.io import save
from vmplace.cli.options import combined, file_argument, json_option, memory_option, output_option, seed_option
from vmplace.cli.what_if import guarantee_options, load_changed
from vmplace.model.units import parse_memory
from vmplace.synthetic import PLACED, PROFILES
from vmplace.synthetic import generate as generated

if TYPE_CHECKING:
    from vmplace.formats.parse import Form

__all__ = ["convert", "generate"]


@click.command("convert")
@file_argument
@output_option
@click.option("--to", "form", type=click.Choice(["json", "yaml"]), help="What to write to stdout.")
@guarantee_options
def convert(file: str, output: str | None, form: "Form | None", **asked: Any) -> int:
    """Convert a document to JSON or YAML.

    The suffix of -o FILE says which: YAML for .yaml and .yml, else JSON.
    """
    if form and output not in (None, "-"):
        raise click.UsageError("--to is for stdout: the suffix of -o FILE says what to write")
    refuse_output(output)
    save(load_changed(file, asked), output or "-", form)
    return DONE


@click.command("generate")
@click.option("--nodes", type=int, required=True, metavar="N", help="Number of nodes.")
@click.option(
    "--node-memory",
    callback=memory_option(parse_memory),
    default="512GiB",
    show_default=True,
    metavar="MEMORY",
    help="Memory of each node (MiB where no unit is given).",
)
@click.option(
    "--fill", type=float, default=0.9, show_default=True, help="Memory of all VMs, as a share of the most that N+1 allows."
)
@click.option(
    "--profile",
    type=click.Choice(list(PROFILES)),
    default="azure",
    show_default=True,
    help="Distribution of VM sizes; cloud: also vCPUs, rules, GPUs, racks, priorities.",
)
@seed_option
@click.option("--placed", type=click.Choice(list(PLACED)), help="How VMs are placed.  [default: none; worst-fit for cloud]")
@click.option("--mixed", is_flag=True, help="Mix nodes of half, one and two times --node-memory.")
@click.option("--overcommit", type=float, help="Profile cloud: vCPUs per processor thread.  [default: 4]")
@combined(output_option, json_option)
def generate(output: str | None, as_json: bool, **wanted: Any) -> int:
    """Generate a synthetic cluster at random.

    It goes to stdout, or to -o FILE. The same options give the same cluster on every machine.
    """
    refuse_output(output)
    with blaming("generate", wanted):
        cluster = generated(**wanted)
    if output is not None:
        save(cluster, output)
    if output is None or (as_json and output != "-"):
        save(cluster, "-")
    return DONE
