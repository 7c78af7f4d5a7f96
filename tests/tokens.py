"""The token estimate beside the embedded model's own tokenizer.

    python -m tests.tokens

llama.cpp tells its tokens at POST /tokenize, which is no part of OpenAI's API.
"""

import inspect
import json
import pathlib
import sys
import textwrap
import urllib.request

from rawchat import local
from rawchat.history import tokens

ENGLISH = """The old lighthouse keeper climbed the spiral stairs every evening, carrying a lantern and a small tin of
oil. He had done it for thirty-one years, in storms and in summer calm, and he had never once complained. People in the
village said that he talked to the sea; he said that the sea talked, and that he merely answered. When the new electric
lamp was installed, the council sent him a letter of thanks and a modest pension. He read the letter twice, folded it
carefully, and went up the stairs again, because somebody had to polish the glass."""
LETTER = """Dear Ms. Thompson, thank you for your order #48213 of 12 March 2024. Unfortunately, two of the five items
(the desk lamp and the USB-C cable) are currently out of stock. We expect them by the 28th; if you'd rather not wait,
we'll refund $37.50 to your card. Kind regards, Customer Service"""
CHINESE = """从前有一座山,山上有一座庙,庙里住着一个老和尚和一个小和尚。每天早晨,
小和尚都要下山去挑水,路很远,也很难走。有一天,他问师父:为什么我们不在山上挖一口井呢?老和尚笑了笑,说:因为你在路上看见的花,比井里的水更重要。"""
REQUEST = """请用简单的语言解释一下什么是机器学习,并举两个生活中的例子。人工智能正在改变我们的工作方式:
从医院的诊断到银行的贷款,从翻译到自动驾驶,几乎每一个行业都受到了影响。但是我们也应该注意隐私和安全的问题。"""
SCRIPT = """function sum(list) {
  let total = 0;
  for (const item of list) {
    total += item.price * item.count;
  }
  return total.toFixed(2);
}
document.querySelector('#total').textContent = sum(cart);
"""
SAMPLES = {
    "english": ENGLISH,
    "letter": LETTER,
    "chinese": CHINESE,
    "request": REQUEST,
    "python": inspect.getsource(textwrap),
    "script": SCRIPT,
    "rawchat": pathlib.Path(tokens.__file__).read_text(encoding="utf-8"),
    "json": json.dumps({"name": "Ann", "items": [{"id": 1, "price": 9.5}], "ok": True}, indent=2),
}


def counted(base_url: str, text: str) -> int:
    """How many tokens the model at `base_url` sees in `text`."""
    request = urllib.request.Request(
        base_url[: -len("v1")] + "tokenize",
        json.dumps({"content": text}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        return len(json.load(response)["tokens"])


def main(base_url: str) -> int:
    """Print the table; 1 if an estimate is off by more than 15 %."""
    worst = 0.0
    print(f"{'sample':10}{'characters':>12}{'estimate':>10}{'real':>8}{'off':>9}")
    for name, text in SAMPLES.items():
        guess, real = tokens.count_text(text), counted(base_url, text)
        print(f"{name:10}{len(text):12}{guess:10}{real:8}{guess / real - 1:+9.1%}")
        worst = max(worst, abs(guess / real - 1))
    return int(worst > 0.15)


if __name__ == "__main__":
    with local.serve() as url:
        sys.exit(main(url))
