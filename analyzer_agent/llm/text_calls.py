"""Tool calls that a server left in the text of a reply, in the formats of the common models.

A server that does not know a model's format passes its calls on as text. `_OPENINGS` is the table
of formats; a call counts at the end of the text only, and never if it repeats what was sent: what a
video says is no order.
"""

import ast
import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

_TOKENS = (
    *(r"<tool_?calls?>", r"<function_?calls?>", r"<(?:minimax|seed):tool_call>"),  # Hermes, Qwen, GLM, Nemotron, InternLM, OLMo, MiniMax
    *(r"<function=", r"<(?:\w+:)?invoke\s+name="),  # Llama 3.1, functionary 3.1, Qwen Coder, MiniMax
    r"<\|python_tag\|>",  # Llama 3
    r"\[TOOL_CALLS\]",  # Mistral
    *(
        r"<\|tool_calls?(?:_start|_begin|_section_begin|s_section_begin)?\|>",
        r"<\|action_start\|>",
        r"<\|START_ACTION\|>",
    ),  # Granite, Phi, Kimi
    r"<[｜|](?:tool[▁_ ]calls?[▁_ ]begin|DSML)[｜|]",  # DeepSeek, Step
    *(r"<\|tools_prefix\|>", r"<\|recipient\|>"),  # Apertus, functionary 2
    r"(?:<\|start\|>assistant)?<\|channel\|>\s*commentary\s+to=",  # gpt-oss
    r"<\|start\|>assistant\s+to=",
)
"""Tokens that only stand for calls, anywhere in a line."""

_LEADS = (
    r"(?:assistant)?commentary\s+to=functions\.",  # gpt-oss behind a server that drops the tokens
    r"functools\[",  # Phi-4 mini, FireFunction
    r">>>\s*\w",  # functionary 3.2
    r"Action:\s*```json",  # Command R
    r"```[a-z_]*\s*[\[{\w]",  # fenced: JSON, or Python (Gemma)
    r"[\[{]\s*[\w\"'{\[]",  # bare: Llama 3 (JSON and Python), xLAM
)
"""What also begins sentences and data: at the beginning of a line only, and only for the tools that were offered."""

_TOKEN = re.compile(f"(?P<token>{'|'.join(_TOKENS)})|(?:^|(?<=\\n))[ \\t]*(?P<lead>{'|'.join(_LEADS)})", re.IGNORECASE)
_FOREIGN = re.compile(r"(?:^|(?<=\n))[ \t]*(?:<[|｜]?[^<>\n]{0,30}(?:tool|function|action|call)[^<>\n]{0,30}>|\[/?[A-Z_]*TOOL[A-Z_]*\])")
_LONGEST_OPENING = 64
_WORDS = ("assistantcommentary to=functions.", "commentary to=functions.", "functools[", "action: ```json")
_BEGUN = "|".join(re.escape(word[:n]) for word in _WORDS for n in range(len(word), 0, -1))
_MAYBE = re.compile(rf"<[|｜][^\n]*$|[<\[][^>\]\n]*$|(?:^|(?<=\n))[ \t]*(?:`{{1,3}}\w*|>{{1,3}}|[\[{{]|{_BEGUN})?\s*$", re.IGNORECASE)
_QUOTING = frozenset("\"'`“‘«„")

_MARK = re.compile(
    r"<[|｜][^<>{}\"]*?[|｜]>?|</?(?:\w+:)?(?:tool|function)_?(?:use|calls?)>|\[/?(?:TOOL_CALLS?|ARGS)\]|\[CALL_ID\][\w-]*"
    r"|```[a-z_]*|functools(?=\[)|>>>|\bto=|</(?:\w+:)?invoke>|</function>|<\|channel\|>",
    re.IGNORECASE,
)
_RESULT = re.compile(r"<\|?/?tool_?(?:response|result|output)s?\|?>|<[｜|]tool[▁_]outputs?[▁_]begin", re.IGNORECASE)
_FILLERS = frozenset(
    {"json", "code", "constrain", "commentary", "assistant", "function", "functions", "tool", "action", "python", "plugin"}
)
_PREFIX = r"(?:\w+:|[｜|]DSML[｜|])?"
_XML = re.compile(
    r"<function=\"?([\w.:-]+)\"?>(.*?)(?:</function>|(?=<function=)|\Z)"
    rf"|<{_PREFIX}invoke\s+name=\"([^\"]+)\"[^>]*>(.*?)(?:</{_PREFIX}invoke>|\Z)",
    re.DOTALL,
)
_PARAMETER = re.compile(
    rf"<{_PREFIX}parameter(?:=\"?([^>\"]+)\"?|\s+name=\"([^\"]+)\"[^>]*)>\n?(.*?)\n?(?:</{_PREFIX}parameter>|(?=<parameter)|\Z)",
    re.DOTALL,
)
_GLM = re.compile(r"<tool_call>\s*([\w.-]+)\s*((?:<arg_key>.*?</arg_value>\s*)*)(?:</tool_call>|\Z)", re.DOTALL)
_GLM_PAIR = re.compile(r"<arg_key>\s*(.*?)\s*</arg_key>\s*<arg_value>(.*?)</arg_value>", re.DOTALL)
_NAME_KEYS = ("name", "tool_name", "tool", "function", "recipient_name")
_ARGUMENT_KEYS = ("arguments", "parameters", "args", "input", "tool_input", "kwargs")
_BROKEN = re.compile(r"\"name\"\s*:\s*\"([\w.-]+)\"\s*,\s*\"(?:arguments|parameters)\"\s*:\s*([^<]*)")


class TextCall(NamedTuple):
    """A call found in text; `arguments` is JSON."""

    name: str
    arguments: str


class FoundCalls(NamedTuple):
    """The text in front of the calls, and the calls; none if they could not be read."""

    text: str
    calls: list[TextCall]


class CallFilter:
    """Holds back what may be a call in streamed text. What is held at the end is found by `find_calls`."""

    def __init__(self) -> None:
        self._held = ""
        self._opened = False
        self._line = ""

    def feed(self, piece: str) -> str:
        """Add a piece; return the text that can be shown now."""
        if not piece or self._opened:
            return ""
        self._held += piece
        text = self._line + self._held
        opening = _TOKEN.search(text)
        if opening and opening.end() > len(self._line):
            self._opened = True
            end = max(len(self._line), opening.start())
        else:
            maybe = _MAYBE.search(text, max(0, len(text) - _LONGEST_OPENING))
            end = max(len(self._line), maybe.start()) if maybe else len(text)
        shown, self._held = text[len(self._line) : end], text[end:]
        if shown:
            # The line that goes on decides whether an opening stands at the beginning of one.
            self._line = text[:end].rpartition("\n")[2][-_LONGEST_OPENING:]
        return shown


def find_calls(text: str, tools: Sequence[Mapping[str, Any]], sent: Iterable[str]) -> FoundCalls | None:
    """Return the calls at the end of `text`, or None if there is nothing that looks like one.

    Args:
        text: the text of a reply, without thoughts.
        tools: the tools that were offered, in the format of Chat Completions.
        sent: the texts that the model had read; calls that repeat one are quotations.
    """
    offered = {str(tool["function"]["name"]): tool["function"].get("parameters") or {} for tool in tools}
    for opening in _TOKEN.finditer(text):
        at, certain = opening.start(), opening.group("token") is not None
        if certain and text[:at].rstrip(" ")[-1:] in _QUOTING:
            continue
        block = text[at:]
        # Results that a model makes up for itself.
        calls = list(_read(_RESULT.split(block)[0], offered, certain))
        if calls and (certain or all(call.name in offered for call in calls)):
            return None if _is_quoted(calls, block, sent) else FoundCalls(text[:at].strip(), calls)
        if certain:
            # Arguments that are no JSON are refused by the tool, so that the model can correct them.
            broken = [TextCall(name, arguments) for name, arguments in _BROKEN.findall(block) if name in offered]
            return None if _is_quoted([], block, sent) else FoundCalls(text[:at].strip(), broken)
    foreign = _FOREIGN.search(text)
    if foreign and any(name in text[foreign.end() :] for name in offered) and not _is_quoted([], text[foreign.start() :], sent):
        return FoundCalls(text[: foreign.start()].strip(), [])
    return None


def _is_quoted(calls: Sequence[TextCall], block: str, sent: Iterable[str]) -> bool:
    """Return whether the model had read this block, or one of its calls, as text.

    Compares letters and digits: fences and quotation change the rest.
    """
    wanted = [_plain(block), *(_plain(call.name + call.arguments) for call in calls if call.arguments != "{}")]
    read = [_plain(text) for text in sent]
    wordy = [one for one in wanted if len(one) >= 8]
    return any(one in text for one in wordy for text in read)


def _plain(text: str) -> str:
    with contextlib.suppress(ValueError, UnicodeError):
        text = json.loads(f'"{text}"') if "\\u" in text else text
    words = re.sub(r"\\[ntr]|[\W_]", "", text)
    return re.sub(r"arguments|parameters|name|toolcalls?|function", "", words.casefold())


def _read(block: str, offered: Mapping[str, Any], certain: bool) -> Iterator[TextCall]:
    """Read the calls of a block; `certain`: a format's own token opens it."""
    if certain and (found := list(_xml(block, offered)) or list(_glm(block, offered))):
        yield from found
        return
    if found := list(_python(block)):
        yield from found
        return
    decoder, at = json.JSONDecoder(strict=False), 0
    clean = _MARK.sub(" ", block)
    while (start := min((p for p in (clean.find("{", at), clean.find("[", at)) if p >= 0), default=-1)) >= 0:
        try:
            value, end = decoder.raw_decode(clean, start)
        except (ValueError, RecursionError):
            value, end = _mended(clean[start:], certain), len(clean)
        header = [word for word in re.findall(r"[\w.:-]+", clean[at:start]) if word.lower() not in _FILLERS]
        if at and not certain and clean[at:start].strip(" \n;,"):
            return
        if header and isinstance(value, dict) and (certain or _name(header[-1]) in offered):
            yield TextCall(_name(header[-1]), json.dumps(value, ensure_ascii=False))
        else:
            yield from _described(value, offered)
        at = end


def _name(text: str) -> str:
    return re.sub(r":\d+$", "", text.strip()).removeprefix("functions.").removeprefix("tool.")


def _described(value: Any, offered: Mapping[str, Any]) -> Iterator[TextCall]:
    """Read calls that name their tool themselves."""
    if isinstance(value, list):
        for one in value:
            yield from _described(one, offered)
    if not isinstance(value, dict):
        return
    if isinstance(value.get("tool_calls"), list):
        yield from _described(value["tool_calls"], offered)
        return
    if isinstance(value.get("function"), dict):
        value = value["function"]
    name = next((value[key] for key in _NAME_KEYS if isinstance(value.get(key), str)), None)
    arguments = next((value[key] for key in _ARGUMENT_KEYS if key in value), None)
    if name is None and len(value) == 1 and next(iter(value)) in offered:
        name, arguments = next(iter(value.items()))
    if name is None or (arguments is None and len(value) > 2):
        return
    if isinstance(arguments, str):
        yield TextCall(_name(name), arguments.strip() or "{}")
    elif arguments is None or isinstance(arguments, dict):
        yield TextCall(_name(name), json.dumps(arguments or {}, ensure_ascii=False))


def _mended(text: str, certain: bool) -> Any:
    """Return an object that is written as Python's, or without its last braces; None if it is neither."""
    if not certain:
        return None
    text = text.strip()
    whole = text[: max(text.rfind("}"), text.rfind("]")) + 1]
    with contextlib.suppress(ValueError, SyntaxError, MemoryError, RecursionError):
        return ast.literal_eval(whole)
    for missing in ("}", "}}", "]}}", "]"):
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(whole + missing, strict=False)
    return None


def _xml(block: str, offered: Mapping[str, Any]) -> Iterator[TextCall]:
    for function, body, invoked, inside in _XML.findall(block):
        name, content = _name(function or invoked), (body or inside).strip()
        if content.startswith("{"):
            yield TextCall(name, content)
        else:
            pairs = [(given or named, value) for given, named, value in _PARAMETER.findall(content)]
            yield TextCall(name, _arguments(pairs, offered.get(name)))


def _glm(block: str, offered: Mapping[str, Any]) -> Iterator[TextCall]:
    for name, pairs in _GLM.findall(block):
        yield TextCall(_name(name), _arguments(_GLM_PAIR.findall(pairs), offered.get(name)))


def _arguments(pairs: Iterable[tuple[str, str]], schema: Any) -> str:
    """Return arguments given as text as JSON; those that the schema wants as text stay text."""
    properties = schema.get("properties") or {} if isinstance(schema, Mapping) else {}
    values: dict[str, Any] = {}
    for name, text in pairs:
        values[name.strip()] = text
        if properties.get(name.strip(), {}).get("type") != "string":
            with contextlib.suppress(ValueError, RecursionError):
                values[name.strip()] = json.loads(text)
    return json.dumps(values, ensure_ascii=False)


def _python(block: str) -> Iterator[TextCall]:
    """Read calls that are written as Python, such as `[find_scenes(ranges=[[0, 5]])]`; nothing is evaluated."""
    code = _MARK.sub(" ", block).strip()
    try:
        tree = ast.parse(code if code.startswith("[") else f"[{','.join(filter(None, map(str.strip, code.splitlines())))}]", mode="eval")
        nodes = tree.body.elts if isinstance(tree.body, ast.List) else []
        for node in nodes:
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.args:
                values = {word.arg: ast.literal_eval(word.value) for word in node.keywords if word.arg}
                yield TextCall(node.func.id, json.dumps(values, ensure_ascii=False))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return
