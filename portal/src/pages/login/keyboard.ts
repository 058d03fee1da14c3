/** Whether a text holds Cyrillic letters, as when a Latin login is typed on the Russian layout. */
export function hasCyrillic(text: string): boolean {
  return /\p{Script=Cyrillic}/u.test(text);
}

/** Whether CapsLock is on, as far as a key or mouse event tells. */
export function isCapsLockOn(event: KeyboardEvent | MouseEvent): boolean {
  return typeof event.getModifierState === "function" && event.getModifierState("CapsLock");
}
