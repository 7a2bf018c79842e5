"""The faults, each as one exchange of source text in one module of the data types.

They follow the sheet of known anomalies. A fault whose text is not found exactly once has been outrun by the code, and
is reported as not caught.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CRDTS", "Fault"]


@dataclass(frozen=True)
class Fault:
    """One fault to plant."""

    name: str
    module: str
    right: str
    wrong: str


def _fault(name: str, module: str, right: str, wrong: str) -> Fault:
    return Fault(name, f"crdtmesh.crdts.{module}", right, wrong)


CRDTS = (
    _fault("merge takes min", "stores", "max(payload, theirs)", "min(payload, theirs)"),
    _fault(
        "remove drops context",
        "set_aw",
        "of_write(mutation.table, dot, dots_of(observed))",
        "of_one(mutation.table, dot)",
    ),
    _fault("clear drops context", "dot_funs", "(mutation.next_dot(), *store)", "(mutation.next_dot(),)"),
    _fault(
        "contexts compressed to their maximum",
        "context",
        "return bisect_right(self.bounds, dot) & 1 == 1",
        "return dot & N_MAX <= self.greatest(dot >> DOT_BITS)",
    ),
    _fault("two entries under one dot", "mutation", "n = self.last_n + 1", "n = max(self.last_n, 1)"),
    _fault("set order leaks into bytes", "stores", "ordered = sorted(keys)", "ordered = list(keys)"),
    _fault("LWW tie by arrival", "register_lww", "max(store.values())[2]", "list(store.values())[-1][2]"),
    _fault("first write by arrival", "register_fww", "min(store.values())[2]", "list(store.values())[0][2]"),
    _fault(
        "True is 1",
        "values",
        "if value is None or kind is bool:\n        return pack_scalar(value)",
        "if value is None or kind is bool:\n        return pack_scalar(value and 1)",
    ),
    _fault("-0.0 is not 0.0", "values", "pack_scalar(value + 0.0)", "pack_scalar(value)"),
    _fault("write does not supersede", "register_lww", "dot, store)", "dot, ())"),
    _fault("ballot does not supersede", "dot_funs", "dot, superseded)", "dot, ())"),
    _fault("removal takes no dot", "dot_funs", "(mutation.next_dot(), *store)", "store"),
    _fault("absorb keeps what was removed", "stores", "in spoken_dots(store, delta_context):", "in ():"),
    _fault("join brings back what was removed", "stores", "ours - kept if d not in b_context", "ours"),
    _fault("index is not kept up", "stores", "                    index[theirs] = key\n", "                    pass\n"),
    _fault("copy shares the index", "stores", "else self._index.copy()", "else self._index"),
    _fault("no-op takes a dot", "counter_pn", "            if not store:\n                return None\n", ""),
    _fault("oldest sibling counts", "dot_funs", "dot > newest.get(replica, 0)", "dot < newest.get(replica, 1 << 62)"),
    _fault("own siblings counted twice", "counter_pn", "dot > newest.get(replica, 0)", "True"),
    _fault("removed element returns", "keyed_dots", "REMOVED + key[1:] not in store.keys", "True"),
    _fault(
        "unheard removal is lost",
        "set_2p",
        '(name == "add" and added is not None)',
        '((name == "add") == (added is not None))',
    ),
    _fault("own run is not gone on with", "positions", "if not run.endswith(tag):", "if True:"),
    _fault("runs of two replicas mix", "positions", "if not run.endswith(tag):", "if False:"),
    _fault("left of what is right is forgotten", "positions", "right[:-1] + _LEFT + first", "first"),
    _fault("replaced element loses its place", "json_edits", "but=Kind.PLACE)", "but=None)"),
    _fault("set supersedes only the place itself", "json_edits", "self.supersede(child.all_facts())", "pass"),
    _fault("earlier move is not superseded", "json_edits", "if fact.kind is Kind.PLACE)", "if False)"),
    _fault(
        "order is not kept up", "json_tree", "insort(self._order, (place, uid))", "self._order.append((place, uid))"
    ),
    _fault(
        "move brings a deleted element back",
        "json_tree",
        "with_place = fact.kind is Kind.PLACE\n    if",
        "with_place = False\n    if",
    ),
    _fault("least place holds", "json_tree", "return max((fact.data", "return min((fact.data"),
    _fault(
        "list is read before the object", "json_tree", "if node.is_object:", "if node.is_object and not node.is_list:"
    ),
    _fault("first scalar holds", "json_tree", "node.writes[-1][2]", "node.writes[0][2]"),
    _fault("scalar of a list accepted", "json_codec", "or data[0] in _CONTAINERS", ""),
    _fault("elements out of order accepted", "json_codec", "any(not a < b", "any(False and not a < b"),
    _fault("two texts begun together are mixed", "text", "if piece.home == home and piece.update:", "if piece.update:"),
    _fault("greater dot is read", "text", "return min((piece.home", "return max((piece.home"),
    _fault("client id is used again", "text", "named = replica_id + home", "named = bytes(16) + home"),
    _fault("set leaves the old text", "text", "(mark, dot, *store.live)", "(mark, dot)"),
    _fault("merged updates stay", "text", "(dot, *superseded)", "(dot,)"),
    _fault("dropped change stays open", "text", "and self._ahead is None and", "and"),
    _fault("removed update stays open", "text", "            self._sequence = None\n", "            pass\n"),
    _fault(
        "update of a text goes unread", "text", "                if update:\n                    parse(update)\n", ""
    ),
    _fault("bytes behind an update accepted", "text_updates", "if reader.at != len(data):", "if False:"),
    _fault("clock of an update overflows", "text_updates", "if length > CLOCK_MAX - clock:", "if False:"),
    _fault(
        "text of another root accepted", "text_updates", "if not self._data.startswith(_ROOT, self.at):", "if False:"
    ),
    _fault(
        "face counts as one unit",
        "text_updates",
        'len(encoded.decode().encode("utf-16-le")) // 2',
        "len(encoded.decode())",
    ),
    _fault("mark with an update accepted", "text", "if (dot == home.dot) == bool(update):", "if False:"),
    _fault("spending without rights", "counter_bounded", "if own >= amount:", "if own >= 0:"),
    _fault("transfer keeps the rights", "counter_bounded", "- spent - sum(given for _, given in transfers)", "- spent"),
    _fault("stamp ignores what it overwrites", "clock", "after is not None and after.time >= time", "False"),
    _fault("clock does not observe", "state", "self._clock.observe(stamp.time, now_ms=now_ms)", "pass"),
    _fault("replicas ordered by interned number", "codec", "key=self._table.id_of", "key=int"),
    _fault("trailing items accepted", "codec", "if self._at != len(self._items):", "if False:"),
    _fault("shared dot accepted", "codec", "if dot in self._seen:", "if False:"),
    _fault("put rewrites what stays", "multimap", "sorted(wanted - bindings.keys.keys())", "sorted(wanted)"),
    _fault("put adds without removing", "multimap", "sorted(bindings.keys.keys() - wanted)", "[]"),
    _fault(
        "put removes without context",
        "multimap",
        "(mutation.next_dot(), *dots_of(bindings.keys[value]))",
        "(mutation.next_dot(),)",
    ),
    _fault("update leaves its ground behind", "map_uw", "join(kind, known, delta)", "delta"),
    _fault("update does not replace contents", "map_uw", "(dot, *fresh, *seen)", "(dot, *fresh)"),
    _fault("content claims dots of others", "map_uw", "(dot, *fresh, *seen)", "(dot, *seen)"),
    _fault("content of sums accepted", "map_uw", "if name in _NOT_HELD:", "if False:"),
    _fault("first content alone is read", "map_uw", "for content in contents:", "for content in list(contents)[:1]:"),
    _fault("beaten updates count", "map_rw", "if standing <= seen else", "if True else"),
    _fault("removal forgets what it has seen", "map_rw", "(dot, *self.dots(store))", "(dot,)"),
    _fault("own beaten sum comes back", "map_rw", "for inner in beaten for dot", "for inner in () for dot"),
    _fault(
        "update forgets which removals it has seen",
        "map_rw",
        "_entry(kind, _standing(store))",
        "_entry(kind, frozenset())",
    ),
    _fault(
        "nested context dropped with the key", "nested", "(mutation.next_dot(), *observed)", "(mutation.next_dot(),)"
    ),
    _fault(
        "emptied entry stays",
        "nested",
        "            elif ours is not None:\n                del store.keys[entry]\n",
        "            elif ours is not None:\n                store.keys[entry] = inner\n",
    ),
    _fault("maps nest without end", "mixed_maps", "if depth >= NESTING_MAX:", "if False:"),
    _fault("shared dot in a column accepted", "codec", "len(self._seen) != before + count", "False"),
    _fault("second form of one dot accepted", "codec", "if self._rank_total == 1:", "if False:"),
    _fault("unsorted entries accepted", "codec", "if not all(map(lt, keys, keys[1:])):", "if False:"),
    _fault("unknown type is lost", "sealed", "in (*a.parts, *b.parts):", "in a.parts:"),
    _fault("unknown type keeps removed dots", "sealed", "if dot in b.live or dot not in b_context", "if True"),
    _fault("removed dots return", "sealed", "restrict(opened.store, live.__contains__)", "copy(opened.store)"),
    _fault("foreign part accepted", "sealed", "    if not dots:", "    if False:"),
    _fault("sum starts anew", "counter_g", "(store[max(own)] if own else 0)", "0"),
    _fault("decrement adds", "counter_exact", "else -amount, ()", "else amount, ()"),
    _fault("update drops those before it", "counter_exact", "else -amount, ()", "else -amount, list(store)"),
    _fault("resolution without a conflict", "register_mv", "len(set(store.values())) < 2", "not store"),
    _fault("resolution of one value written twice", "register_mv", "len(set(store.values())) < 2", "len(store) < 2"),
    _fault("sibling is lost", "register_mv", "sorted(set(store.values()))", "sorted(set(store.values()))[:1]"),
    _fault(
        "write beats what it has not seen", "register_max", "is_greatest: ClassVar[bool] = True", "is_greatest = False"
    ),
    _fault("least is greatest", "register_min", "[bool] = False", "[bool] = True"),
    _fault("enable leaves enables", "flag_ew", "written(mutation, True, list(store))", "written(mutation, True, ())"),
    _fault("enable wins where disable should", "flag_dw", "all(store.values())", "any(store.values())"),
    _fault("grown set adds twice", "set_g", "if element in store.keys:", "if False:"),
    _fault("emptied set comes back", "keyed_dots", "(mutation.next_dot(), *store.dots())", "(mutation.next_dot(),)"),
    _fault("removal leaves the add", "set_rw", "(mutation.table, dot, observed)", "(mutation.table, dot, ())"),
    _fault(
        "ballot leaves the one before it",
        "vote",
        "return written(mutation, ballot, own)",
        "return written(mutation, ballot, ())",
    ),
    _fault("vote counts both ways", "vote", "ballots.count(True)}", "len(ballots)}"),
    _fault("put clears", "map_lww", '{"put": "set"}', '{"put": "clear"}'),
    _fault("decrement of a key adds", "map_counter", '"decrement": "decrement"', '"decrement": "increment"'),
    _fault("removal takes every key", "map_or", "if named[0] == key and", "if"),
    _fault("removal takes every type", "map_or", "(not kind or named[1] == kind[0])", "True"),
    _fault(
        "guard against drift is off",
        "clock",
        "return time >> LOGICAL_BITS > now_ms + self._drift_ms_max",
        "return False",
    ),
    _fault(
        "part claims the whole context", "deltas", "CausalContext.of_one(state.context.table, dot)", "state.context"
    ),
    _fault("difference claims what is known", "deltas", "a.context.difference(b.context)", "a.context.copy()"),
    _fault(
        "difference forgets what was removed",
        "deltas",
        "news.update(CausalContext(a.context.table, removed))",
        "pass",
    ),
    _fault("removed under both is kept", "stores", "kept = ours & theirs", "kept = ours | theirs"),
    _fault(
        "NaN accepted",
        "values",
        "        if math.isnan(value):\n            raise InvalidValue(",
        "        if False:\n            raise InvalidValue(",
    ),
    _fault(
        "values nest without end",
        "values",
        "    if depth >= VALUE_DEPTH_MAX:\n        raise InvalidValue",
        "    if False:\n        raise InvalidValue",
    ),
    _fault("amounts beyond 63 bits", "counter_pn", "if max(added, subtracted) > AMOUNT_MAX:", "if False:"),
    _fault(
        "numbers of dots beyond 44 bits",
        "codec",
        "last = first + self.integer(N_MAX - first)",
        "last = first + self.integer(1 << 60)",
    ),
    _fault("tables mixed", "context", "if a.table is not b.table:", "if False:"),
)
