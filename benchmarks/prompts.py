"""What a prompt takes: `python benchmarks/prompts.py` prints microseconds, the best of many rounds.

The best, for all that makes a round slower is the machine's: it has other work to do. Beside it stands the median.

The prompt renders to about 2 kB and holds some of everything: conditions, a loop, filters, a component, props that
`input_schema` checks. `parse` is done once a file; `render` puts props in; `format` also checks the props, as a
program's `prompt.format(props)` does.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from agentmark_prompts import FileLoader, create_agentmark, nodes
from agentmark_prompts.library import Library

LIMIT_US = 200.0
RULES = "Answer in the language of the question, cite the order by its number, and never promise a date. " * 15

PROMPT = f"""---
name: support
text_config:
  model_name: gpt-4o-mini
  temperature: 0.2
input_schema:
  type: object
  properties:
    name: {{type: string}}
    plan: {{enum: [free, pro]}}
    question: {{type: string}}
    orders:
      type: array
      items:
        type: object
        properties: {{id: {{type: string}}, total: {{type: number}}, paid: {{type: boolean}}}}
        required: [id, total]
  required: [name, question, orders]
---
import Tone from './tone.mdx';

<System>
  You help the customers of a shop.
  <Tone tone={{props.plan == "pro" && "warm" || "neutral"}}>
    Be brief.
  </Tone>
  {RULES}
  <If condition={{props.plan == "pro"}}>
    {{capitalize(props.name)}} pays for support: offer a call.
  </If>
  <Else>
    Do not offer a call.
  </Else>
</System>
<User>
  Orders:
  <ForEach arr={{props.orders}}>
    {{(order, index) => (
      <>
        {{index + 1}}. {{upper(order.id)}}, {{round(order.total, 2)}} EUR, <If condition={{order.paid}}>paid</If>
      </>
    )}}
  </ForEach>
  {{props.question}}
</User>
"""
TONE = "Write in a {props.tone} tone.\n{props.children}\n"
PROPS = {
    "name": "amara",
    "plan": "pro",
    "question": "Where is my last order, and what did I pay for it? " * 4,
    "orders": [{"id": f"a-{number}", "total": number * 9.999, "paid": number % 2 == 0} for number in range(12)],
}


@dataclass(frozen=True)
class Figure:
    """Microseconds for one call: of the best round, and of the one in the middle."""

    best: float
    median: float


def measured(work: Callable[[], object], rounds: int, calls: int) -> Figure:
    """The time of one call, over rounds of many calls."""
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        for _ in range(calls):
            work()
        times.append((time.perf_counter() - begun) / calls * 1e6)
    return Figure(min(times), statistics.median(times))


def figures(folder: Path, rounds: int) -> dict[str, Figure]:
    """The figures, by name."""
    (folder / "support.prompt.mdx").write_text(PROMPT, encoding="utf-8")
    (folder / "tone.mdx").write_text(TONE, encoding="utf-8")
    loader = FileLoader(folder)
    path = "support.prompt.mdx"
    loaded = asyncio.run(create_agentmark(loader=loader).load_text_prompt(path))
    prompt = asyncio.run(Library(loader).open(path))

    def render() -> list[nodes.Message]:
        return nodes.render(prompt.template, prompt.components, PROPS, prompt.start)

    print(f"{sum(len(message.content) for message in render()):,} characters", file=sys.stderr)
    return {
        "parse": measured(lambda: asyncio.run(Library(loader).open(path)), rounds, 5),
        "render": measured(render, rounds, 100),
        "format": measured(lambda: loaded.format_now(PROPS), rounds, 20),
    }


def main() -> None:
    """Print the figures; the exit status is 1 if a rendering takes longer than the limit."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true", help="print one JSON object")
    options.add_argument("--rounds", type=int, default=40)
    given = options.parse_args()
    with TemporaryDirectory() as folder:
        found = figures(Path(folder), given.rounds)
    if given.json:
        print(json.dumps({name: asdict(figure) for name, figure in found.items()}))
    else:
        print(f"{'us':8}{'best':>10}{'median':>10}")
        for name, figure in found.items():
            print(f"{name:8}{figure.best:10,.0f}{figure.median:10,.0f}")
        print(f"render must take less than {LIMIT_US:.0f}")
    sys.exit(found["render"].best >= LIMIT_US)


if __name__ == "__main__":
    main()
