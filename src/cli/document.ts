import { type Html, html, inline } from './html.ts';

/** The text of a file next to this one. */
export const read = (path: string): string => Deno.readTextFileSync(new URL(path, import.meta.url));

/** The style of all reports. */
export const pageStyle = (): Html => inline(read('../../demos/shared/base.css') + read('report_page.css'));

// Nothing may be loaded: even markup that slipped through the escaping could not contact a server.
const POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:";

/** A report: one HTML file that needs no network and no other file. @param body the contents of its body element */
export const documentOf = (title: string, styles: readonly Html[], body: Html): string =>
  html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="Hypersphere">
<title>${title} – Hypersphere report</title>
<link rel="icon" href="data:,">
${styles.map((style) => html`<style>${style}</style>\n`)}</head>
<body>
${body}</body>
</html>
`.text;
