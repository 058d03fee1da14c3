/** Whether a click on a link opens it in this tab: the main button, without a modifier key. */
export function isPlainClick(event: MouseEvent): boolean {
  return !(event.ctrlKey || event.metaKey || event.shiftKey) && event.button === 0;
}
