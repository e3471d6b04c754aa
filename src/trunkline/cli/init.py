"""`trunkline init`: write a commented starter configuration. What its settings mean is decided in `config`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

# In STARTER, "# " begins an explanation and "#" alone switches a setting off: a test switches them all on.
STARTER = """\
# Configuration of Trunkline. Every setting is optional; what is switched off shows an example or the default.
# `trunkline check` lists every mistake with its line. `trunkline check --json-schema` prints the schema for editors.
# ${VAR}, ${VAR:-default} and ${file:path} are filled in; TRUNKLINE_SECTION__FIELD overrides any setting.

server:
  listen: 127.0.0.1:4000   # data plane, where applications go
  admin: 127.0.0.1:4001    # metrics and health
  #tls: {cert: server.crt, key: server.key}
  #cors: {origins: ["https://app.example.com"]}
  #limits: {max_header: 64KiB, max_body: 32MiB, max_connections: 10000, max_connections_per_ip: 100}
  #drain_timeout: 30s      # running requests may finish this long after SIGTERM
  #media: {max_size: 20MiB, timeout: 10s, allow_http: false}   # pictures by URL, fetched for providers that do not
  #memory: {max_size: 64MiB, ttl: 1h}   # what models want back and clients of another API cannot hand back

log:
  format: auto             # auto | json | pretty
  level: info              # debug | info | warning | error

#ledger: {required: true}  # refuse requests while no record of them can be kept

# Who is called. The kind is the name unless told otherwise; without api_key its variable (OPENAI_API_KEY, ...) is used.
# The built-in echo/echo always answers, without any account.
providers:
  #openai: {api_key: "${OPENAI_API_KEY}"}
  #anthropic: {api_key: "${ANTHROPIC_API_KEY}"}
  #gemini: {api_key: "${GEMINI_API_KEY}"}
  #groq: {api_key: "${GROQ_API_KEY}"}
  #ollama: {base_url: "http://127.0.0.1:11434"}
  #lab:
    #kind: openai                          # any server that speaks OpenAI's API; anthropic for one that speaks Anthropic's
    #base_url: http://127.0.0.1:8080/v1
    #api_key: none
    #timeouts: {connect: 5s, first_byte: 60s, idle: 60s, total: 10m}
    #facts: {"qwen*": {thinks: effort, media: [image]}}   # what its models take and can, where we do not know it

# Names that clients ask for. provider/model always works, also for what is not listed here.
models:
  #small: {targets: [lab/tiny]}
  #smart: {targets: [openai/gpt-4.1, anthropic/claude-sonnet-4-5], strategy: weighted, affinity: session, fallbacks: [small]}
  #exact: {targets: [lab/tiny], unsupported: strict}   # refuse what the model cannot be told, instead of dropping and naming it

# Who may ask. Besides these there are the keys that `trunkline keys create NAME` makes, which need no entry here.
keys:
  #- {name: laptop, secret: "${LAPTOP_KEY}"}
  # By its hash alone, which is what this prints:  printf %s "$KEY" | sha256sum
  # - {name: ci, hash: "sha256:<64 hexadecimal digits>", models: [small, "lab/*"]}
"""


def init(
    path: Annotated[Path, typer.Argument(help="File to write.")] = Path("trunkline.yaml"),
    *,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
) -> None:
    """Write a commented starter configuration, readable by you alone."""
    try:
        with open(path, "w" if force else "x", encoding="utf-8", opener=_private) as file:
            path.chmod(0o600)  # an overwritten file had its own mode
            file.write(STARTER)
    except FileExistsError:
        print(f"trunkline: {path} is there already; --force overwrites it.", file=sys.stderr)
        raise typer.Exit(1) from None
    except OSError as error:
        print(f"trunkline: cannot write {path}: {error.strerror}", file=sys.stderr)
        raise typer.Exit(1) from None
    print(f"Wrote {path}. Edit it, then: trunkline check --config {path}")


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)
