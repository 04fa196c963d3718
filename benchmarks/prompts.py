"""What a prompt takes: `python benchmarks/prompts.py` prints microseconds of CPU time, the median of many rounds.

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


def microseconds(work: Callable[[], object], rounds: int, calls: int) -> float:
    """The median time of one call, over rounds of many calls."""
    times = []
    for _ in range(rounds):
        begun = time.process_time()
        for _ in range(calls):
            work()
        times.append((time.process_time() - begun) / calls * 1e6)
    return statistics.median(times)


def measured(folder: Path, rounds: int) -> dict[str, float]:
    """The figures, by name."""
    (folder / "support.prompt.mdx").write_text(PROMPT, encoding="utf-8")
    (folder / "tone.mdx").write_text(TONE, encoding="utf-8")
    loader = FileLoader(folder)
    path = "support.prompt.mdx"
    loaded = asyncio.run(create_agentmark(loader=loader).load_text_prompt(path))
    prompt = asyncio.run(Library(loader).open(path))

    def render() -> list[nodes.Message]:
        return nodes.render(prompt.template, prompt.components, PROPS, prompt.start)

    return {
        "characters": sum(len(message.content) for message in render()),
        "parse_us": microseconds(lambda: asyncio.run(Library(loader).open(path)), rounds, 5),
        "render_us": microseconds(render, rounds, 200),
        "format_us": microseconds(lambda: loaded.format_now(PROPS), rounds, 50),
    }


def main() -> None:
    """Print the figures; the exit status is 1 if a rendering takes longer than the limit."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true", help="print one JSON object")
    options.add_argument("--rounds", type=int, default=15)
    given = options.parse_args()
    with TemporaryDirectory() as folder:
        figures = measured(Path(folder), given.rounds)
    if given.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:12} {value:10,.0f}")
        print(f"limit of render_us: {LIMIT_US:.0f}")
    sys.exit(figures["render_us"] > LIMIT_US)


if __name__ == "__main__":
    main()
