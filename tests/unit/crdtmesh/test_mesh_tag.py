import pytest

from crdtmesh.mesh_tag import TAG_SIZE_BYTES_MAX, MeshTag, cluster_hash, decode

TAG = MeshTag(cluster=cluster_hash("shops"), start_id=bytes(range(16)), link_port=65_535, grpc_port=9980)


def test_a_tag_survives_the_round_trip_and_fits() -> None:
    assert TAG == decode(TAG.encode())
    assert len(TAG.encode()) <= TAG_SIZE_BYTES_MAX


def test_fields_of_a_newer_node_are_skipped() -> None:
    assert TAG == decode(TAG.encode() + ";future=1")


@pytest.mark.parametrize(
    "text",
    ["", "1", "2;c=a;s=00;l=1;g=1", "1;c=a;s=zz;l=1;g=1", "1;c=a;s=00;l=1;g=1", TAG.encode().replace("l=65535", "l=0")],
)
def test_foreign_or_damaged_text_is_no_tag(text: str) -> None:
    assert decode(text) is None
