"""The states of a member as a diagram, drawn from the table that the machine runs.

python -m gossip.diagram
"""

from gossip.rules import TRANSITIONS


def mermaid() -> str:
    """The diagram in Mermaid's notation; a test compares the one in the guide with it."""
    lines = ["stateDiagram-v2"]
    for (state, claim), transition in TRANSITIONS.items():
        source = "[*]" if state is None else state.name.lower()
        newer = ", newer" if transition.needs_newer else ""
        event = f" / {transition.change.value}" if transition.change is not None else ""
        lines.append(f"    {source} --> {transition.state.name.lower()}: {claim.name.lower()}{newer}{event}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(mermaid())
