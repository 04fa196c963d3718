"""The conversations that `agentmark demo` plays: data, and the few words that it is written in."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Say:
    """The model answers; `model` where it is not the conversation's."""

    text: str
    model: tuple[str, str] | None = None


@dataclass(frozen=True)
class Use:
    """The model asks for a tool, and the tool gives a result or fails."""

    tool: str
    arguments: dict[str, Any]
    result: Any = None
    error: str | None = None


@dataclass(frozen=True)
class Find:
    """The program looks something up for the model."""

    source: str
    query: str
    documents: tuple[str, ...]


@dataclass(frozen=True)
class Ask:
    """Another agent does a part of the work, with steps of its own."""

    agent: str
    task: str
    steps: "tuple[Step, ...]"


@dataclass(frozen=True)
class Fail:
    """The model's provider refuses, and the whole trace fails."""

    error: str


Step = Say | Use | Find | Ask | Fail


@dataclass(frozen=True)
class Turn:
    """One message of the user and what the program does about it: one trace."""

    user: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Conversation:
    """One session.

    `model` is its provider and name. `prompt_tokens` stands for a system prompt and tool definitions of that
    size. A program that does not remember sends each message alone.
    """

    topic: str
    trace: str
    model: tuple[str, str]
    turns: tuple[Turn, ...]
    user: str | None = None
    name: str | None = None
    system: str = "You are a helpful assistant."
    agent: str | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    outcome: str | None = None
    prompt_tokens: int = 400
    remembers: bool = True


GPT_4O = ("openai", "gpt-4o")
GPT_4O_MINI = ("openai", "gpt-4o-mini")
GPT_41_MINI = ("openai", "gpt-4.1-mini")
CLAUDE = ("anthropic", "claude-sonnet-4-5")
GEMINI = ("gcp.gemini", "gemini-2.5-flash-lite")
MISTRAL = ("mistral_ai", "mistral-large-latest")
OWN = ("acme", "acme-chat-7b")

SHOP = "You are the support agent of a shop for outdoor gear. Be brief, look things up, never guess."

CONVERSATIONS = (
    Conversation(
        topic="refund",
        user="amara",
        name="Customer Support: refund for order #48213",
        trace="handle-message",
        model=GPT_4O_MINI,
        system=SHOP,
        agent="support-agent",
        tags=("support", "beta"),
        metadata={"channel": "chat", "plan": "plus"},
        outcome="resolved",
        prompt_tokens=1150,
        turns=(
            Turn("Hello!", (Say("Hi Amara! What can I do for you?"),)),
            Turn(
                "My tent from order 48213 came with a broken pole. I want my money back.",
                (
                    Use(
                        "lookup_order",
                        {"order_id": "48213"},
                        {"item": "Tent Fjell 2", "price": 189.0, "days": 6},
                    ),
                    Say(
                        "I'm sorry about the pole. Your Tent Fjell 2 (189.00) was delivered 6 days ago, so a "
                        "full refund is fine. Shall I start it?"
                    ),
                ),
            ),
            Turn(
                "Yes please.",
                (
                    Use(
                        "issue_refund",
                        {"order_id": "48213", "amount": 189.0},
                        error="payment gateway timed out",
                    ),
                    Use("issue_refund", {"order_id": "48213", "amount": 189.0}, {"refund_id": "rf_9021"}),
                    Say("Done: refund rf_9021 over 189.00 is on its way, and arrives within 3 to 5 days."),
                ),
            ),
            Turn("Great, thank you!", (Say("You're welcome. Enjoy the outdoors!"),)),
        ),
    ),
    Conversation(
        topic="address",
        user="amara",
        name="Customer Support: new delivery address",
        trace="handle-message",
        model=GPT_4O_MINI,
        system=SHOP,
        agent="support-agent",
        tags=("support",),
        metadata={"channel": "email", "plan": "plus"},
        outcome="resolved",
        prompt_tokens=1150,
        turns=(
            Turn(
                "I moved. Please send everything to 12 Harbour Lane, Cork from now on.",
                (
                    Use("update_address", {"street": "12 Harbour Lane", "city": "Cork"}, {"ok": True}),
                    Say("Your new address is saved: 12 Harbour Lane, Cork. Open orders go there as well."),
                ),
            ),
        ),
    ),
    Conversation(
        topic="rechnung",
        user="jonas",
        name="Kundenservice: Rechnung über 79,90 €",
        trace="handle-message",
        model=GPT_4O_MINI,
        system="Du bist der Kundenservice eines Ladens für Wanderausrüstung. Antworte kurz und höflich.",
        agent="support-agent",
        tags=("support", "de"),
        metadata={"channel": "chat", "plan": "free"},
        prompt_tokens=980,
        turns=(
            Turn(
                "Warum steht auf meiner Rechnung eine Gebühr von 4,90 €?",
                (
                    Find(
                        "help-center",
                        "Gebühr Rechnung 4,90",
                        ("Unter 80 € Bestellwert fallen 4,90 € Versand an.",),
                    ),
                    Say("Das ist der Versand: Er fällt bei Bestellungen unter 80 € an. Ihre lag bei 79,90 €."),
                ),
            ),
            Turn(
                "Zehn Cent?! Können Sie mir das erlassen?",
                (
                    Use("grant_credit", {"amount": 4.9, "reason": "Kulanz"}, {"credit_id": "cr_771"}),
                    Say("Gern, aus Kulanz: 4,90 € stehen jetzt als Guthaben in Ihrem Konto. 🙂"),
                ),
            ),
            Turn("Prima, schöne Grüße aus Köln!", (Say("Danke, Ihnen einen schönen Tag!"),)),
        ),
    ),
    Conversation(
        topic="kyoto",
        user="mei",
        name="旅行プラン: 京都 3日間 🍁",
        trace="plan-trip",
        model=CLAUDE,
        system="あなたは旅行の計画を手伝うアシスタントです。",
        agent="travel-planner",
        tags=("travel", "ja"),
        metadata={"channel": "app", "plan": "pro"},
        prompt_tokens=1600,
        turns=(
            Turn(
                "11月の終わりに東京から京都へ3日間行きたいです。",
                (
                    Use(
                        "search_trains",
                        {"from": "東京", "to": "京都"},
                        [{"train": "のぞみ 215", "yen": 14170}],
                    ),
                    Use("search_hotels", {"city": "京都", "nights": 2}, error="HTTP 504 from hotels.example"),
                    Say("のぞみ215号は14,170円です。ホテルの検索が今つながらないので、少し後でもう一度試します。"),
                ),
            ),
            Turn(
                "お願いします。一泊2万円までで。",
                (
                    Use(
                        "search_hotels",
                        {"city": "京都", "max_yen": 20000},
                        [{"hotel": "鴨川の宿", "yen": 18400}],
                    ),
                    Say(
                        "鴨川の宿が一泊18,400円で空いています。初日は東福寺、二日目は嵐山、三日目は錦市場がおすすめです。"
                    ),
                ),
            ),
        ),
    ),
    Conversation(
        topic="reviews",
        name="Nightly batch: label product reviews",
        trace="label-review",
        model=GEMINI,
        system="Label the review: praise, complaint or question. Answer with one word.",
        tags=("batch",),
        metadata={"job": "label-reviews", "host": "worker-3"},
        prompt_tokens=220,
        remembers=False,
        turns=(
            Turn("Kept us dry for two weeks in Scotland.", (Say("praise"),)),
            Turn("The zip broke on day one. Never again!", (Say("complaint"),)),
            Turn("Does it fit a person of 195 cm?", (Say("question"),)),
            Turn("Trop lourd pour la randonnée, dommage.", (Say("complaint"),)),
            Turn("⭐️⭐️⭐️⭐️⭐️", (Say("praise"),)),
            Turn("ok", (Fail("429 RESOURCE_EXHAUSTED: quota of requests per minute"),)),
            Turn("ok", (Say("praise"),)),
        ),
    ),
    Conversation(
        topic="test",
        user="priya",
        name="Coding agent: fix the flaky payments test",
        trace="coding-task",
        model=CLAUDE,
        system="You are a coding agent in a Python repository. Run the tests before and after each change.",
        agent="coder",
        tags=("coding", "agent"),
        metadata={"repository": "shop/payments", "branch": "fix-flaky"},
        outcome="merged",
        prompt_tokens=5200,
        turns=(
            Turn(
                "tests/test_refund.py fails about once in five runs. Find out why and fix it.",
                (
                    Use(
                        "run_tests",
                        {"path": "tests/test_refund.py", "times": 5},
                        error="1 of 5 runs failed: AssertionError: refund was created at 23:59:59, expected today",
                    ),
                    Use("read_file", {"path": "tests/test_refund.py"}, "def test_refund_is_dated_today(): ..."),
                    Use("read_file", {"path": "payments/refund.py"}, "created = datetime.now()\n..."),
                    Say(
                        "The test compares a local date with one in UTC: around midnight they differ. I will "
                        "give `refund()` a clock and pass a fixed one in the test."
                    ),
                ),
            ),
            Turn(
                "Sounds right, go ahead.",
                (
                    Use("edit_file", {"path": "payments/refund.py"}, "4 lines changed"),
                    Use("edit_file", {"path": "tests/test_refund.py"}, "7 lines changed"),
                    Use("run_tests", {"path": "tests/test_refund.py", "times": 50}, "50 of 50 runs passed"),
                    Ask(
                        "reviewer",
                        "Review the change on branch fix-flaky.",
                        (
                            Use("git_diff", {"branch": "fix-flaky"}, "+def refund(order, clock=utc_now): ..."),
                            Say("Correct and small. Please mention the parameter in the docstring.", GPT_4O),
                        ),
                    ),
                    Say("Fixed: 50 of 50 runs pass. The reviewer asked for a line of documentation: added."),
                ),
            ),
            Turn(
                "Merge it.",
                (Use("merge", {"branch": "fix-flaky"}, "merged as 4f1c2ab"), Say("Merged as 4f1c2ab.")),
            ),
        ),
    ),
    Conversation(
        topic="ounce",
        user="omar",
        trace="ask",
        model=GPT_4O_MINI,
        prompt_tokens=60,
        turns=(Turn("How many grams are in an ounce?", (Say("28.35 grams, to two decimals."),)),),
    ),
    Conversation(
        topic="leave",
        user="sofia",
        name="HR handbook: parental leave",
        trace="answer-from-handbook",
        model=GPT_41_MINI,
        system="Answer from the passages of the handbook only, and name the section.",
        tags=("rag", "internal"),
        metadata={"department": "people", "index": "handbook-2026-10"},
        prompt_tokens=700,
        turns=(
            Turn(
                "How many weeks of parental leave do I get?",
                (
                    Find(
                        "handbook",
                        "weeks of parental leave",
                        (
                            "7.2 Every parent may take 26 weeks, of which 16 are paid in full.",
                            "7.3 The leave may be split into up to three parts within 24 months.",
                        ),
                    ),
                    Say("26 weeks, 16 of them fully paid (section 7.2). You may split them (7.3)."),
                ),
            ),
            Turn(
                "And my partner, who works here too?",
                (
                    Find("handbook", "both parents employed leave", ("7.2 Every parent may take 26 weeks.",)),
                    Say("The same: section 7.2 speaks of every parent, so each of you has 26 weeks."),
                ),
            ),
        ),
    ),
    Conversation(
        topic="report",
        user="lucas",
        name="Report: revenue by region, Q3",
        trace="write-report",
        model=GPT_4O,
        system="You are an analyst. Query the warehouse, then write for managers.",
        agent="analyst",
        tags=("reports",),
        metadata={"team": "finance", "attempts": "2"},
        prompt_tokens=2300,
        turns=(
            Turn(
                "Write the Q3 revenue report by region.",
                (
                    Use(
                        "run_sql",
                        {"sql": "select region, sum(revenue) from sale group by 1"},
                        error="no table sale",
                    ),
                    Fail("429 rate_limit_exceeded: limit of 30000 tokens per minute"),
                ),
            ),
            Turn(
                "Try again.",
                (
                    Use(
                        "run_sql",
                        {"sql": "select region, sum(revenue) from sales group by 1"},
                        [["north", 1.92e6], ["south", 1.41e6], ["west", 0.88e6]],
                    ),
                    Say(
                        "Revenue in Q3 was 4.21 million: north 1.92 (+8 %), south 1.41 (-2 %), west 0.88 "
                        "(+21 %). West grew most, on the two stores that opened in July."
                    ),
                ),
            ),
        ),
    ),
    Conversation(
        topic="arabic",
        user="noor",
        name="Translate the invitation: English → العربية",
        trace="translate",
        model=MISTRAL,
        system="Translate what the user sends into Arabic.",
        tags=("translation",),
        metadata={"target": "ar"},
        prompt_tokens=150,
        turns=(
            Turn("You are invited to our opening on Friday.", (Say("أنتم مدعوون إلى افتتاحنا يوم الجمعة."),)),
            Turn("Doors open at seven.", (Say("تفتح الأبواب في الساعة السابعة."),)),
        ),
    ),
    Conversation(
        topic="notes",
        user="kim",
        name="Meeting notes: weekly planning",
        trace="summarise",
        model=OWN,
        system="Summarise meeting notes in at most three points.",
        tags=("internal", "self-hosted"),
        metadata={"region": "eu-central"},
        prompt_tokens=90,
        turns=(
            Turn(
                "Ana: release slips to Thursday. Ben: the search index needs two more days. Ana: then no "
                "demo on Wednesday, please tell sales. Ben: will do.",
                (Say("1. Release moves to Thursday.\n2. Search: two more days.\n3. Ben tells sales."),),
            ),
        ),
    ),
    Conversation(
        topic="pumps",
        user="ingrid",
        name="Research: heat pumps in old buildings",
        trace="research-step",
        model=GPT_4O,
        system="You lead a team of research agents. Plan, delegate, then write with sources.",
        agent="lead-researcher",
        tags=("research", "agent", "multi-agent"),
        metadata={"depth": "thorough", "plan": "pro"},
        prompt_tokens=1900,
        turns=(
            Turn(
                "Do heat pumps work in houses built before 1950?",
                (
                    Say("Plan: 1. field studies, 2. costs, 3. what has to be renovated first."),
                    Ask(
                        "searcher",
                        "Find field studies of heat pumps in buildings from before 1950.",
                        (
                            Use(
                                "web_search",
                                {"query": "heat pump field study old buildings"},
                                ["study-a", "study-b"],
                            ),
                            Find(
                                "papers",
                                "seasonal performance factor",
                                ("Mean factor of 3.1 in 56 old houses.",),
                            ),
                            Say("56 houses, mean seasonal performance factor 3.1.", GPT_4O_MINI),
                        ),
                    ),
                    Ask(
                        "cost-analyst",
                        "What do they cost to run, compared with gas?",
                        (
                            Use("fetch_url", {"url": "https://prices.example/2026"}, error="HTTP 403"),
                            Use(
                                "web_search",
                                {"query": "electricity gas price 2026"},
                                ["0.29 per kWh", "0.11 per kWh"],
                            ),
                            Say(
                                "At a factor of 3.1, heat costs about 0.09 per kWh: a little less than gas.",
                                GPT_4O_MINI,
                            ),
                        ),
                    ),
                    Say(
                        "Yes. In 56 houses from before 1950 the mean factor was 3.1, so heat costs a little "
                        "less than with gas, even without full insulation."
                    ),
                ),
            ),
            Turn(
                "What should I renovate first?",
                (
                    Find("papers", "renovation order heat pump", ("Roof first, then larger radiators.",)),
                    Say("The roof, then larger radiators in the coldest rooms. Walls can wait."),
                ),
            ),
            Turn(
                "Put that into one paragraph for my father.",
                (Say("Dad, the old house is fit for a heat pump: ..."),),
            ),
        ),
    ),
)
