"""The command that makes a capture ready to be published."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import click

from toolkit.capture.beside import table_path
from toolkit.cli.options import CONTEXT, FILE, Load, client_option, errors, reading
from toolkit.cryptopan import new_key, parse_key, read_key
from toolkit.errors import ToolkitError
from toolkit.hosts import Network
from toolkit.privacy import anonymise_networks, write_anonymised

KEY_VARIABLE = "TOOLKIT_KEY"


@click.command(context_settings=CONTEXT)
@FILE
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The capture to write: pcapng if it ends in .pcapng, else pcap.",
)
@click.option(
    "-k",
    "--key-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The key: a file of 64 hexadecimal digits. It goes before TOOLKIT_KEY.",
)
@click.option(
    "--new-key",
    "fresh",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Make a key, and write it to this new file, which only you can read. It goes before TOOLKIT_KEY.",
)
@click.option("--keep-payload", is_flag=True, help="Keep the payload of TCP and UDP, with all that it may say.")
@client_option(required=False)
@reading
def anonymise(
    file: str,
    output: Path,
    key_file: Path | None,
    fresh: Path | None,
    keep_payload: bool,
    clients: list[Network],
    load: Load,
) -> None:
    """Write a capture with pseudonyms for its addresses, and without what identifies people and machines.

    The same key gives the same pseudonyms in every capture. Who has it can find the address behind each of them: keep
    it to yourself. It comes from --key-file or is made anew (--new-key); only if neither is given, the environment
    variable TOOLKIT_KEY has it, as 64 hexadecimal digits.

    Payload becomes zeros. Its entropy and TLS types go into a Parquet table beside the capture, so that every feature
    can still be computed: publish both files. --client says under which names these networks are to be found then.

    \b
    toolkit anonymise trace.pcap -o public.pcap --new-key key.txt --client 10.0.0.0/24
    toolkit anonymise other.pcap -o other-public.pcap --key-file key.txt
    """
    if output.exists() and Path(file).exists() and output.samefile(file):
        raise click.UsageError(f"{output} is the capture itself: give another --output")
    if key_file is not None and fresh is not None:
        raise click.UsageError("--key-file and --new-key exclude each other")
    if output in (key_file, fresh) or (
        key_file and output.exists() and key_file.exists() and output.samefile(key_file)
    ):
        raise click.UsageError(f"{output} is the file of the key: give another --output")
    with errors():
        key = _key(key_file, fresh)
        try:
            trace = load(file)
            write_anonymised(trace, output, key=key, keep_payload=keep_payload)
        except BaseException as error:
            if fresh is not None:  # nothing was written with it, and the next try makes one again
                fresh.unlink(missing_ok=True)
            if isinstance(error, ValueError) and not isinstance(error, ToolkitError):
                raise click.UsageError(str(error)) from error
            raise
        lost = sum(source.frames - source.packets for source in trace.sources)
        click.echo(f"wrote {output}: {len(trace):,} packets" + (f", without {lost:,} other frames" if lost else ""))
        if keep_payload:
            click.echo("payload is kept: it may name people and machines")
        else:
            click.echo(f"wrote {table_path(output)}: entropy and TLS types")
        if fresh is not None:
            click.echo(f"wrote {fresh}: the key; who has it can find the addresses, keep it to yourself")
        for before, after in zip(clients, anonymise_networks(clients, key=key) if clients else (), strict=True):
            click.echo(f"{before} is {after}")


def _key(key_file: Path | None, fresh: Path | None) -> bytes:
    if fresh is not None:
        return new_key(fresh)
    if key_file is not None:
        key = read_key(key_file)
        if os.name == "posix" and stat.S_IMODE(key_file.stat().st_mode) & 0o077:
            click.echo(f"warning: others can read {key_file}: chmod 600 {key_file}", err=True)
        return key
    text = os.environ.get(KEY_VARIABLE)
    if text is None:
        raise click.UsageError(f"give --key-file, --new-key or the environment variable {KEY_VARIABLE}")
    try:
        return parse_key(text)
    except ValueError as error:
        raise ToolkitError(f"{KEY_VARIABLE}: {error}") from None
