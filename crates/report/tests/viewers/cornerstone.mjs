// What the adapters of Cornerstone3D, which OHIF uses, make of DICOM SR and SEG files: a line of JSON for each measurement and each
// labelled image. Run by `readers.py`, not by the tests. Needs npm packages, bundled once into a folder of your own:
//
//   npm i @cornerstonejs/adapters @cornerstonejs/core dcmjs @babel/runtime esbuild
//   npx esbuild cornerstone.mjs --bundle --platform=node --format=esm --outfile=bundle.mjs \
//     --banner:js='import { createRequire as r } from "node:module"; const require = r(import.meta.url);'
//   node bundle.mjs SERIES_FOLDER FILE…
import fs from "node:fs";
import path from "node:path";
import { metaData } from "@cornerstonejs/core";
import { adaptersSEG, adaptersSR } from "@cornerstonejs/adapters";
import dcmjs from "dcmjs";

// The adapters say much on the console.
const say = console.log;
for (const kind of ["log", "info", "warn"]) console[kind] = () => {};
const buffer = (file) => { const bytes = fs.readFileSync(file); return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length); };
const dataset = (file) => {
  const data = dcmjs.data.DicomMessage.readFile(buffer(file));
  return dcmjs.data.DicomMetaDictionary.naturalizeDataset(data.dict);
};
const [, , folder, ...files] = process.argv;
const images = fs.readdirSync(folder).sort().map((name) => dataset(path.join(folder, name)));
const id = (image) => `image:${image.SOPInstanceUID}`;
const camel = (image) => Object.fromEntries(Object.entries(image).map(([k, v]) => [k.replace(/^[A-Z]+(?=[A-Z][a-z])|^[A-Z]/, (s) => s.toLowerCase()), v]));
const provider = {
  get(kind, imageId) {
    const image = images.find((i) => id(i) === imageId);
    if (!image || kind === "instance") return image;
    const o = image.ImageOrientationPatient, spacing = image.PixelSpacing;
    return { ...camel(image), frameOfReferenceUID: image.FrameOfReferenceUID, sopInstanceUID: image.SOPInstanceUID, rowCosines: o.slice(0, 3), columnCosines: o.slice(3), rowPixelSpacing: spacing[0], columnPixelSpacing: spacing[1] };
  },
};
metaData.addProvider((kind, image) => provider.get(kind, image));
for (const file of files) {
  const data = dataset(file);
  if (data.Modality === "SR") {
    const map = Object.fromEntries(images.map((i) => [`${i.SOPInstanceUID}:1`, id(i)]));
    const state = adaptersSR.Cornerstone3D.MeasurementReport.generateToolState(data, map, provider);
    for (const [tool, all] of Object.entries(state)) {
      for (const { annotation, finding } of all) say(JSON.stringify({ file, tool, finding: finding?.CodeMeaning, image: annotation.metadata.referencedImageId.slice(6), points: annotation.data.handles.points.map((p) => [...p]) }));
    }
  } else {
    const made = await adaptersSEG.Cornerstone3D.Segmentation.createFromDICOMSegBuffer(images.map(id), buffer(file), { metadataProvider: provider });
    for (const group of made.labelMapImages) {
      for (const image of group) {
        const counts = {};
        for (const label of image.voxelManager?.getScalarData() ?? image.getPixelData()) if (label) counts[label] = (counts[label] ?? 0) + 1;
        say(JSON.stringify({ file, image: (image.referencedImageId ?? "image:").slice(6), pixels: counts }));
      }
    }
  }
}
