"""Generated secrets of each kind, and the sentences that they are planted in. No value here was ever anyone's."""

from __future__ import annotations

import base64
import random
import string
from collections.abc import Callable

ALNUM = string.ascii_letters + string.digits
URL_SAFE = ALNUM + "-_"
HEX = "0123456789abcdef"


def run(rng: random.Random, alphabet: str, n: int) -> str:
    return "".join(rng.choices(alphabet, k=n))


def word(rng: random.Random) -> str:
    return rng.choice(["alder", "birch", "cedar", "maple", "rowan", "willow"]) + run(rng, string.digits, 2)


def b64(rng: random.Random, n: int) -> str:
    return base64.b64encode(rng.randbytes(n)).decode()


def jwt(rng: random.Random) -> str:
    def part(content: str) -> str:
        return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")

    return ".".join([part('{"alg":"HS256"}'), part(f'{{"sub":"{word(rng)}"}}'), run(rng, URL_SAFE, 42) + "k"])


def private_key(rng: random.Random) -> str:
    body = "\n".join(b64(rng, 48) for _ in range(6))
    kind = rng.choice(["RSA ", "EC ", "", "OPENSSH "])
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END {kind}PRIVATE KEY-----"


def luhn(number: str) -> str:
    doubled = [sum(divmod(2 * int(d), 10)) for d in number[::-2]]
    check = -(sum(doubled) + sum(int(d) for d in number[-2::-2])) % 10
    return number + str(check)


def card(rng: random.Random) -> str:
    prefix = rng.choice(["4", "51", "55", "6011"])
    number = luhn(prefix + run(rng, string.digits, 15 - len(prefix)))
    by = rng.choice(["", " ", "-"])
    return by.join(number[i : i + 4] for i in range(0, 16, 4))


def iban(rng: random.Random) -> str:
    account = run(rng, string.digits, 18)
    check = 98 - int(account + "131400") % 97  # DE is 13 14
    number = f"DE{check:02d}{account}"
    return rng.choice([number, " ".join(number[i : i + 4] for i in range(0, 22, 4))])


def phone(rng: random.Random) -> str:
    return rng.choice(
        [
            f"+44 20 79{run(rng, '3456', 2)} 0{run(rng, string.digits, 3)}",
            f"+1-{rng.randint(201, 989)}-555-01{run(rng, string.digits, 2)}",
            f"({rng.randint(201, 989)}) 555-01{run(rng, string.digits, 2)}",
            f"+4915{run(rng, string.digits, 9)}",
        ]
    )


def ipv6(rng: random.Random) -> str:
    groups = [run(rng, HEX, 4) for _ in range(6)]
    return rng.choice(
        [
            "2001:db8:" + ":".join(groups),
            f"2001:db8::{groups[0]}:1{groups[1][1:]}",
            f"fe80::{groups[0]}:1{groups[2][1:]}",
        ]
    )


def password(rng: random.Random) -> str:
    return run(rng, ALNUM, 6) + rng.choice("!#*+_~") + run(rng, ALNUM, 6)


Maker = Callable[[random.Random], str]

SHAPED: dict[str, Maker] = {
    "e-mail": lambda r: f"{word(r)}.{word(r)}+oncall@mail.{word(r)}.example",
    "IPv4": lambda r: f"10.{r.randint(0, 255)}.{r.randint(0, 255)}.{r.randint(1, 254)}",
    "IPv6": ipv6,
    "MAC": lambda r: r.choice(":-").join(run(r, HEX, 1) + "b" for _ in range(6)),
    "phone": phone,
    "JWT": jwt,
    "private key": private_key,
    "AWS": lambda r: r.choice(["AKIA", "ASIA"]) + run(r, string.ascii_uppercase + "234567", 16),
    "GCP": lambda r: r.choice(["AIza" + run(r, URL_SAFE, 34) + "x", "ya29.a0" + run(r, URL_SAFE, 100) + "x"]),
    "Azure": lambda r: run(r, ALNUM, 3) + "8Q~" + run(r, ALNUM, 34),
    "GitHub": lambda r: r.choice(
        ["ghp_" + run(r, ALNUM, 36), "ghs_" + run(r, ALNUM, 40), "github_pat_" + run(r, ALNUM, 82)]
    ),
    "GitLab": lambda r: "glpat-" + run(r, URL_SAFE, r.choice([19, 60])) + "x",
    "Slack": lambda r: f"xoxb-{run(r, string.digits, 12)}-{run(r, string.digits, 13)}-{run(r, ALNUM, 24)}",
    "Stripe": lambda r: r.choice(["sk", "rk"]) + "_live_" + run(r, ALNUM, r.choice([24, 99])),
    "OpenAI": lambda r: (
        r.choice(["sk-proj-1", "sk-2", "sk-svcacct-3"]) + run(r, ALNUM, 20) + "T3BlbkFJ" + run(r, ALNUM, 20)
    ),
    "Anthropic": lambda r: "sk-ant-api03-" + run(r, URL_SAFE, 92) + "x",
    "Hugging Face": lambda r: "hf_" + run(r, ALNUM, 34),
    "npm": lambda r: "npm_" + run(r, ALNUM, 36),
    "PyPI": lambda r: "pypi-AgEIcHlwaS5vcmc" + run(r, URL_SAFE, 130) + "x",
    "card": card,
    "IBAN": iban,
}
"""Values that are known by their shape, wherever they stand."""


PLACED: dict[str, tuple[Maker, tuple[str, ...]]] = {
    "bearer": (
        lambda r: run(r, ALNUM, 39) + "7",
        ("curl -H 'Authorization: Bearer {}' host", "it sent Bearer {} again"),
    ),
    "basic": (
        lambda r: base64.b64encode(f"{word(r)}:{password(r)}".encode()).decode(),
        ("authorization: Basic {}", "sent Basic {} twice"),
    ),
    "userinfo": (
        lambda r: f"{word(r)}:{password(r).replace('#', '-')}",
        ("pull from https://{}@git.corp.example/x.git failed", "amqp://{}@mq:5672/v"),
    ),
    "query": (
        lambda r: run(r, ALNUM, 30) + "9",
        ("GET https://b.example/o?sv=1&sig={}&se=2 gave 403", "open http://h/cb?access_token={}"),
    ),
    "connection string": (
        password,
        ("Server=db;User Id=app;Password={};Database=orders", "postgresql://app:{}@db:5432/orders"),
    ),
    "storage key": (
        lambda r: b64(r, 64),
        ("DefaultEndpointsProtocol=https;AccountName=st;AccountKey={};EndpointSuffix=x",),
    ),
    "AWS secret": (
        lambda r: run(r, ALNUM + "/+", 39) + "z",
        ("aws_secret_access_key = {}\nregion = x", 'export AWS_SECRET_ACCESS_KEY="{}"'),
    ),
    "password": (
        password,
        (
            "password={} was in the log",
            'the file had "password": "{}", in it',
            "- db_password: {}\n",
            "PGPASSWORD='{}' psql",
        ),
    ),
    "API key": (
        lambda r: run(r, HEX, 31) + "a",
        ("api_key: {}", "X-Api-Key: {}", "it ran with --api-key {} --port 80", "apiKey='{}',"),
    ),
    "secret": (
        lambda r: run(r, URL_SAFE, 30) + "0a",
        ("client_secret={}&grant=x", '{{"clientSecret":"{}"}}', "the secret was {} until then"),
    ),
    "signing key": (lambda r: b64(r, 32), ("the signing key {} leaked", "SIGNING_KEY={}", "hmac: {}")),
}
"""Values that are known only by what stands before them."""

SENTENCES = (
    "At 10:42 the gateway logged {} and stopped.",
    "We found {}, which had expired.",
    "The config held '{}' in plain text",
    '{{"value":"{}"}}',
    "see ({}) for the first case",
    "{}",
    "value={} retries=3",
    "**{}** was rotated.",
)


PHRASES: dict[str, tuple[str, ...]] = {
    "e-mail": ("(cc: {})", "From: Jo <{}>", "mailto:{}?subject=outage", "paged {}, who acknowledged"),
    "IPv4": ("host {}:8080 refused", "from {}/24 to the pod", "peer={}", "ssh root@{}", "http://{}/healthz"),
    "IPv6": ("[{}]:443 refused", "peer {} went away"),
    "phone": ("Call {} for the bridge", "tel:{}"),
    "bearer": ("headers={{'Authorization': 'Bearer {}'}}", '-H "authorization: bearer {}"'),
    "userinfo": (
        "redis://{}@cache.internal:6379/0",
        "git clone https://{}@git.corp.example/a/b",
        "proxy=http://{}@10.0.0.1:3128",
    ),
    "connection string": (
        "mongodb+srv://svc:{}@cluster0.example.net/prod",
        "jdbc:postgresql://db:5432/x?user=app&password={}",
        "Driver={{SQL}};UID=app;PWD={};",
        "host=db user=app password={} dbname=x",
    ),
    "password": (
        "The password for the admin account is {} and must be changed.",
        "logged in as root with password {} from the jump host",
        "the temporary password ({}) was posted in the channel",
        "pw: {}",
        "passwd={};",
        "Username: admin / Password: {}",
        "user admin, pass {}",
        "mysql -u root -p{} -h db",
        "export DB_PASS={}",
    ),
    "API key": (
        "the API key {} was rate-limited",
        "with API key {}, which belongs to staging",
        "OPENAI_API_KEY={}",
        '"api-key": "{}"',
        "x-api-key={}",
        "the key we used ({}) was revoked",
        "apikey {}",
    ),
}
"""How people and logs put them besides; for a measurement on write-ups."""


def planted(seed: int = 0, each: int = 10) -> list[tuple[str, str, str]]:
    """Kind, secret, and the text that holds it."""
    rng = random.Random(seed)
    cases = []
    for kind, make in SHAPED.items():
        for n in range(each):
            value = make(rng)
            cases.append((kind, value, SENTENCES[n % len(SENTENCES)].format(value)))
    for kind, (make, sentences) in PLACED.items():
        for n in range(each):
            value = make(rng)
            cases.append(
                (kind, value, f"The job failed. {sentences[n % len(sentences)].format(value)}\nThen it recovered.")
            )
    return cases
