/** Replaces packages that jsPDF imports and the portal does not need (vite.config.ts). */
export default null;
