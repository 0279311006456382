// Gives a DiscomfortTestRunner the ports of the workflow it names as its inputs and outputs.

import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";

const CLASS_NAME = "DiscomfortTestRunner";

app.registerExtension({
  name: "discomfort.test_runner",

  beforeRegisterNodeDef(nodeType, nodeData) {
    if (nodeData.name !== CLASS_NAME) return;
    // The class declares as many outputs as a workflow may have; a node shows those of its workflow.
    nodeData.output = [];
    nodeData.output_name = [];
    nodeData.output_is_list = [];
    nodeData.output_tooltips = [];
    nodeData.outputs = [];
  },

  nodeCreated(node) {
    if (node.comfyClass !== CLASS_NAME) return;
    while (node.outputs?.length) node.removeOutput(node.outputs.length - 1);
    const widget = node.widgets.find((one) => one.name === "workflow");
    const changed = widget.callback;
    widget.callback = function (...values) {
      changed?.apply(this, values);
      refresh(node, widget.value);
    };
    const button = node.addWidget("button", "choose a workflow", null, () => choose(node, widget));
    button.serialize = false;
    button.options ??= {};
    button.options.serialize = false;
  },

  // A saved node has its slots and links already; its workflow may have changed since.
  loadedGraphNode(node) {
    if (node.comfyClass !== CLASS_NAME) return;
    const widget = node.widgets?.find((one) => one.name === "workflow");
    if (widget?.value) refresh(node, widget.value);
  },
});

async function ask(path) {
  const response = await api.fetchApi(path);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error ?? response.statusText);
  return answer;
}

function complain(error) {
  const message = { severity: "error", summary: "Discomfort Test Runner", detail: error.message, life: 8000 };
  if (app.extensionManager?.toast) app.extensionManager.toast.add(message);
  else console.error(message.summary, message.detail);
}

async function choose(node, widget) {
  try {
    const names = await ask("/discomfort/workflows");
    if (!names.length) throw new Error("there are no saved workflows; type a path instead");
    new LiteGraph.ContextMenu(names, {
      event: app.canvas.last_mouse_event ?? window.event,
      title: "Workflow",
      scale: Math.max(1, app.canvas.ds?.scale ?? 1),
      callback: (name) => {
        widget.value = name;
        widget.callback?.(name, app.canvas, node);
      },
    });
  } catch (error) {
    complain(error);
  }
}

async function refresh(node, workflow) {
  const turn = (node.discomfortTurn = (node.discomfortTurn ?? 0) + 1);
  let ports = { inputs: [], outputs: [] };
  if (workflow) {
    try {
      ports = await ask(`/discomfort/ports?workflow=${encodeURIComponent(workflow)}`);
    } catch (error) {
      complain(error); // the slots stay, so that no link is lost to a mistyped name
      return;
    }
  }
  if (turn !== node.discomfortTurn || !node.graph) return; // a later choice, or the node is gone
  setInputs(node, ports.inputs);
  setOutputs(node, ports.outputs);
  const least = node.computeSize();
  node.setSize([Math.max(node.size[0], least[0]), Math.max(node.size[1], least[1])]);
  node.setDirtyCanvas(true, true);
}

function link(graph, id) {
  return graph.getLink ? graph.getLink(id) : graph.links.get ? graph.links.get(id) : graph.links[id];
}

// Slots are made again in the order of the ports; a link stays where its port's name does.
function setInputs(node, ports) {
  const isPort = (slot) => !slot.widget;
  if (sameSlots((node.inputs ?? []).filter(isPort), ports)) return;
  const sources = {};
  for (let index = (node.inputs ?? []).length - 1; index >= 0; index--) {
    const slot = node.inputs[index];
    if (!isPort(slot)) continue;
    const known = slot.link == null ? null : link(node.graph, slot.link);
    if (known) sources[slot.name] = [known.origin_id, known.origin_slot];
    node.removeInput(index);
  }
  for (const port of ports) {
    node.addInput(port.name, port.type);
    const [id, slot] = sources[port.name] ?? [];
    const source = id === undefined ? null : node.graph.getNodeById(id);
    if (source) source.connect(slot, node, node.inputs.length - 1);
  }
}

function setOutputs(node, ports) {
  if (sameSlots(node.outputs ?? [], ports)) return;
  const targets = {};
  for (let index = (node.outputs ?? []).length - 1; index >= 0; index--) {
    const slot = node.outputs[index];
    targets[slot.name] = (slot.links ?? [])
      .map((id) => link(node.graph, id))
      .filter(Boolean)
      .map((known) => [known.target_id, known.target_slot]);
    node.removeOutput(index);
  }
  ports.forEach((port, index) => {
    node.addOutput(port.name, port.type);
    for (const [id, slot] of targets[port.name] ?? []) {
      const target = node.graph.getNodeById(id);
      if (target) node.connect(index, target, slot);
    }
  });
}

function sameSlots(slots, ports) {
  return (
    slots.length === ports.length &&
    slots.every((slot, index) => slot.name === ports[index].name && slot.type === ports[index].type)
  );
}
