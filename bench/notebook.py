"""The script that a user would write today for one cell: two queries, a layer per tag with nglui,
and an upload. Run it as ``python notebook.py SERVER CELL``; it prints the link. It is used only for
comparison, and not shipped.
"""

import sys

# As on a machine without this extra of nglui, which would add half a second and five requests.
sys.modules["cloudvolume"] = None

from caveclient import CAVEclient  # noqa: E402
from nglui.statebuilder import ViewerState  # noqa: E402

TABLE = "synapse_target_predictions_ssa_v2"
COLOURS = {"spine": "#fb49b0", "shaft": "#ddb310", "soma": "#00beff"}

server, cell = sys.argv[1], int(sys.argv[2])

client = CAVEclient(
    "minnie65_public", version=1718, server_address=server, write_server_cache=False
)
table = getattr(client.materialize.tables, TABLE)
inputs = table(post_pt_root_id=cell).query(desired_resolution=[1, 1, 1], split_positions=True)
outputs = table(pre_pt_root_id=cell).query(desired_resolution=[1, 1, 1], split_positions=True)

viewer = ViewerState(dimensions=[1, 1, 1], infer_coordinates=True)
viewer.add_image_layer(source=client.info.image_source(format_for="raw"), name="imagery")
viewer.add_segmentation_layer(
    source=client.info.segmentation_source(format_for="raw"), segments=[cell], name="segmentation"
)
for direction, predictions in (("inputs", inputs), ("outputs", outputs)):
    for tag, rows in predictions.groupby("tag"):
        viewer.add_points(
            data=rows,
            name=f"{direction}: {tag}",
            point_column="ctr_pt_position",
            data_resolution=[1, 1, 1],
            color=COLOURS[tag],
        )
state_id = client.state.upload_state_json(viewer.to_dict())
print(f"{client.info.viewer_site()}#!{server}/nglstate/api/v1/{state_id}")
