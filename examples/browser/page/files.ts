/** Files that were chosen or dropped, folders among them. */
import type { Given } from '../protocol.ts';

/** Files of an input element. */
export function chosenFiles(files: FileList | null): Given[] {
  return Array.from(files ?? [], (file) => ({ name: file.name, blob: file }));
}

/** Files of a drop; those of a folder as if they had been dropped themselves. */
export async function droppedFiles(items: DataTransferItemList): Promise<Given[]> {
  // The list is empty once the event is over: all entries are asked for first.
  const entries = Array.from(items, (item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const found = await Promise.all(entries.map(filesOf));
  return found.flat().map((file) => ({ name: file.name, blob: file }));
}

async function filesOf(entry: FileSystemEntry): Promise<File[]> {
  if (entry instanceof FileSystemFileEntry) return [await new Promise<File>((resolve, reject) => entry.file(resolve, reject))];
  if (!(entry instanceof FileSystemDirectoryEntry)) return [];
  const reader = entry.createReader();
  const files: File[] = [];
  for (;;) {
    // A reader gives some at a time, and none when there are no more.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return files;
    // Folders inside a model's folder hold other things: originals, caches.
    for (const one of some) if (one instanceof FileSystemFileEntry) files.push(...(await filesOf(one)));
  }
}

/**
 * Lets files be dropped on an element. It shows that it would take them while they are over it.
 */
export function onDrop(target: HTMLElement, take: (files: Given[]) => void): void {
  const mark = (over: 'over' | 'gone') => target.classList.toggle('dragging', over === 'over');
  target.addEventListener('dragover', (event) => {
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    mark('over');
  });
  target.addEventListener('dragleave', (event) => {
    if (!(event.relatedTarget instanceof Node && target.contains(event.relatedTarget))) mark('gone');
  });
  target.addEventListener('drop', (event) => {
    mark('gone');
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    void droppedFiles(event.dataTransfer.items).then(take);
  });
}

/** Gives a file to the user. */
export function saveFile(name: string, blob: Blob): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The download has begun, or will with the next turn; a minute is long enough for both.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Bytes for people. */
export function size(bytes: number): string {
  if (bytes < 1e3) return `${bytes} bytes`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(0)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
