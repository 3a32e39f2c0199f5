// Looks at a Neuroglancer viewer from within its page. Each function is evaluated by screenshots.py.

// Show a state in the viewer that is open; a state without layers clears the viewer.
const showState = (state) => {
  viewer.showLayerDialog = false;
  viewer.resetStateWhenEmpty = false;
  viewer.state.restoreState(state);
};

// Say what is still missing, compared with the expected layers and numbers of annotations.
// `final` problems do not go away by waiting; `complete` means that the whole state has arrived.
const lookAtViewer = (expected) => {
  const answer = (problem, final = false, complete = false) => ({ problem, final, complete });
  if (!window.viewer?.layerManager) return answer("the viewer has not started");
  const clean = (text) => String(text).replace(/\s+/g, " ").trim().slice(0, 200);
  const messages = document.querySelectorAll(
    "#neuroglancer-status-container li, #neuroglancer-status-container-modal li",
  );
  for (const item of messages) {
    if (item.style.display === "none" || /Python server/.test(item.textContent)) continue;
    if (item.textContent.trim()) return answer(`the viewer says: ${clean(item.textContent)}`);
  }
  const layers = new Map(viewer.layerManager.managedLayers.map((layer) => [layer.name, layer]));
  for (const name of Object.keys(expected)) {
    if (!layers.has(name)) return answer(`the layer '${name}' is not there`);
  }
  if (layers.size !== Object.keys(expected).length) return answer("there are other layers");
  for (const [name, managed] of layers) {
    const layer = managed.layer;
    if (!layer) {
      if (managed.archived) continue;
      return answer(`the layer '${name}' is not loaded`);
    }
    for (const source of layer.dataSources ?? []) {
      const { loadState } = source;
      if (loadState === undefined) return answer(`a source of '${name}' is not loaded`);
      if (loadState.error) {
        return answer(`a source of '${name}' fails: ${clean(loadState.error.message)}`, true);
      }
    }
    const shader = layer.annotationDisplayState?.shaderError?.value;
    if (shader) return answer(`the shader of '${name}' fails: ${clean(shader.message)}`, true);
    if (expected[name] === null) continue;
    let count = 0;
    for (const state of layer.annotationStates?.states ?? []) {
      count += state.source?.annotationMap?.size ?? 0;
    }
    if (count !== expected[name]) {
      return answer(`the layer '${name}' shows ${count} of ${expected[name]} annotations`);
    }
  }
  if (!viewer.isReady()) return answer("not all data have arrived", false, true);
  return answer("", false, true);
};

// Hide the bars and panels around the view.
const undressViewer = () => {
  for (const [name, shown] of Object.entries(viewer.uiConfiguration)) {
    if (name.startsWith("show") && shown && "value" in shown) shown.value = false;
  }
  if (!document.getElementById("synglancer-undress")) {
    const style = document.createElement("style");
    style.id = "synglancer-undress";
    style.textContent = `
      .neuroglancer-data-panel-layout-controls, .neuroglancer-display-dimensions-widget,
      .perspective-panel-show-slice-views, #neuroglancer-status-container
      { display: none !important; }`;
    document.head.append(style);
  }
  viewer.showAxisLines.value = false;
  viewer.selectedLayer.visible = false;
  for (const palette of viewer.toolPalettes?.palettes ?? []) palette.location.visible = false;
};
