/** Whether a text has Cyrillic letters, such as a login typed with the Russian layout. */
export function hasCyrillic(text: string): boolean {
  return /\p{Script=Cyrillic}/u.test(text);
}

/** Whether CapsLock is on, if the event reports it. */
export function isCapsLockOn(event: KeyboardEvent | MouseEvent): boolean {
  return typeof event.getModifierState === "function" && event.getModifierState("CapsLock");
}
