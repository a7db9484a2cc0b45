"""Checks signed requests as the venues would: from what is sent, the secret and the documented rules alone.

Reads one JSON object a line: {api, secret, passphrase, method, url, headers, body}. Answers each with a line: `ok`, or
what is wrong. Nothing but Python's standard library; it shares no code and no intermediate value with tickbus.
"""

import base64
import hashlib
import hmac
import json
import sys
from datetime import datetime, timezone
from urllib.parse import parse_qsl, quote, unquote, urlsplit


def mac(secret, text):
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()


def hexed(secret, text):
    return mac(secret, text).hex()


def based(secret, text):
    return base64.b64encode(mac(secret, text)).decode()


def in_query(call, header):
    """Binance, MEXC spot: the signature is the last parameter and covers all before it, and the body."""
    query, _, signature = call["query"].rpartition("&signature=")
    if not call["headers"].get(header):
        return "no key", "a key"
    if not [value for name, value in parse_qsl(query) if name == "timestamp"]:
        return "no timestamp", "one"
    return unquote(signature), hexed(call["secret"], query + call["body"])


def okx(call):
    time = call["headers"]["ok-access-timestamp"]
    datetime.strptime(time, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    text = time + call["method"] + call["target"] + call["body"]
    if call["headers"]["ok-access-passphrase"] != call["passphrase"]:
        return "another passphrase", "the passphrase"
    return call["headers"]["ok-access-sign"], based(call["secret"], text)


def bybit(call):
    headers = call["headers"]
    text = headers["x-bapi-timestamp"] + headers["x-bapi-api-key"] + headers.get("x-bapi-recv-window", "")
    return headers["x-bapi-sign"], hexed(call["secret"], text + call["query"] + call["body"])


def bitbank(call):
    headers = call["headers"]
    signed = call["target"] if call["method"] == "GET" else call["body"]
    text = headers["access-request-time"] + headers.get("access-time-window", "") + signed
    return headers["access-signature"], hexed(call["secret"], text)


def bitflyer(call):
    text = call["headers"]["access-timestamp"] + call["method"] + call["target"] + call["body"]
    return call["headers"]["access-sign"], hexed(call["secret"], text)


def bitget(call):
    text = call["headers"]["access-timestamp"] + call["method"] + call["target"] + call["body"]
    return call["headers"]["access-sign"], based(call["secret"], text)


def bitmex(call):
    text = call["method"] + call["target"] + call["headers"]["api-expires"] + call["body"]
    return call["headers"]["api-signature"], hexed(call["secret"], text)


def coincheck(call):
    text = call["headers"]["access-nonce"] + call["url"] + call["body"]
    return call["headers"]["access-signature"], hexed(call["secret"], text)


def gmocoin(call):
    path = unquote(call["path"])
    path = path[path.index("/", 1) :] if "/" in path[1:] else "/"
    text = call["headers"]["api-timestamp"] + call["method"] + path
    text += call["body"] if call["method"] == "POST" else ""
    return call["headers"]["api-sign"], hexed(call["secret"], text)


def kucoin(call):
    headers = call["headers"]
    if headers["kc-api-passphrase"] != based(call["secret"], call["passphrase"]):
        return "another passphrase", "the passphrase"
    keep = {f"%{ord(c):02X}": f"%25{ord(c):02X}" for c in "+&=;"}
    query = call["query"]
    for escape, escaped in keep.items():
        query = query.replace(escape, escaped)
    target = unquote(call["path"]) + ("?" + unquote(query) if query else "")
    text = headers["kc-api-timestamp"] + call["method"] + target + call["body"]
    return headers["kc-api-sign"], based(call["secret"], text)


def mexc(call):
    if "x-mexc-apikey" in call["headers"]:
        return in_query(call, "x-mexc-apikey")
    headers = call["headers"]
    signed = call["body"]
    if call["method"] in ("GET", "DELETE"):
        pairs = sorted(parse_qsl(call["query"], keep_blank_values=True))
        signed = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    return headers["signature"], hexed(call["secret"], headers["apikey"] + headers["request-time"] + signed)


def phemex(call):
    text = call["path"] + call["query"] + call["headers"]["x-phemex-request-expiry"] + call["body"]
    return call["headers"]["x-phemex-request-signature"], hexed(call["secret"], text)


def bittrade(call):
    pairs = parse_qsl(call["query"], keep_blank_values=True)
    signature = [value for name, value in pairs if name == "Signature"][-1]
    pairs = sorted(pair for pair in pairs if pair[0] != "Signature")
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    text = "\n".join([call["method"], call["host"], call["path"], query])
    return signature, based(call["secret"], text)


RULES = {
    "binance": lambda call: in_query(call, "x-mbx-apikey"),
    "binancefuture_testnet": lambda call: in_query(call, "x-mbx-apikey"),
    "binancespot_testnet": lambda call: in_query(call, "x-mbx-apikey"),
    "bitbank": bitbank,
    "bitflyer": bitflyer,
    "bitget": bitget,
    "bitmex": bitmex,
    "bitmex_testnet": bitmex,
    "bittrade": bittrade,
    "bybit": bybit,
    "bybit_demo": bybit,
    "bybit_testnet": bybit,
    "coincheck": coincheck,
    "gmocoin": gmocoin,
    "kucoin": kucoin,
    "mexc": mexc,
    "okj": okx,
    "okx": okx,
    "okx_demo": okx,
    "phemex": phemex,
    "phemex_testnet": phemex,
}

for line in sys.stdin:
    call = json.loads(line)
    parts = urlsplit(call["url"])
    call["path"], call["query"], call["host"] = parts.path, parts.query, parts.hostname
    call["target"] = parts.path + ("?" + parts.query if parts.query else "")
    call["headers"] = {name.lower(): value for name, value in call["headers"].items()}
    try:
        sent, right = RULES[call["api"]](call)
        print("ok" if hmac.compare_digest(sent, right) else f"{sent} is not {right}", flush=True)
    except Exception as error:
        print(f"{type(error).__name__}: {error}", flush=True)
