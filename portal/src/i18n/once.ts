/** Remembers what was made for a key: browsers take as long to make a formatter as to format a thousand numbers. */
export function once<Made>(make: (key: string) => Made): (key: string) => Made {
  const made = new Map<string, Made>();
  return (key) => {
    const known = made.get(key) ?? make(key);
    made.set(key, known);
    return known;
  };
}
