/**
 * Files that stay in the browser across reloads: in the origin's private file system, or in IndexedDB where that cannot be
 * written to. A file is either there as it was written or not at all, in both.
 */

export interface Store {
  readonly kind: 'file system' | 'IndexedDB';
  read(name: string): Promise<Blob | undefined>;
  write(name: string, data: Blob): Promise<void>;
  names(): Promise<string[]>;
  clear(): Promise<void>;
}

const NAME = 'lors';

/** The store of this origin: the file system where it can be, unless IndexedDB is asked for. */
export async function openStore(wanted: 'auto' | 'IndexedDB'): Promise<Store> {
  // Where createWritable is missing, a file that is being written when the page goes away is left in pieces.
  if (
    wanted === 'auto' &&
    'storage' in navigator &&
    'getDirectory' in navigator.storage &&
    'createWritable' in FileSystemFileHandle.prototype
  ) {
    try {
      return new FileStore(await navigator.storage.getDirectory());
    } catch {
      // Some browsers have it and refuse it in private windows.
    }
  }
  return new DatabaseStore(await openDatabase());
}

class FileStore implements Store {
  readonly kind = 'file system';
  readonly #root: FileSystemDirectoryHandle;

  constructor(root: FileSystemDirectoryHandle) {
    this.#root = root;
  }

  async read(name: string): Promise<Blob | undefined> {
    try {
      const file = await (await (await this.#folder()).getFileHandle(name)).getFile();
      return file;
    } catch (error) {
      if (error instanceof DOMException && error.name === 'NotFoundError') return undefined;
      throw error;
    }
  }

  async write(name: string, data: Blob): Promise<void> {
    const handle = await (await this.#folder()).getFileHandle(name, { create: true });
    // Written beside the file, and put in its place by close().
    const writable = await handle.createWritable();
    await writable.write(data);
    await writable.close();
  }

  async names(): Promise<string[]> {
    const names: string[] = [];
    for await (const name of (await this.#folder()).keys()) names.push(name);
    return names;
  }

  async clear(): Promise<void> {
    for (const name of await this.names()) await (await this.#folder()).removeEntry(name);
  }

  #folder(): Promise<FileSystemDirectoryHandle> {
    return this.#root.getDirectoryHandle(NAME, { create: true });
  }
}

const FILES = 'files';

function openDatabase(): Promise<IDBDatabase> {
  const opening = indexedDB.open(NAME, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(FILES);
  return done(opening);
}

class DatabaseStore implements Store {
  readonly kind = 'IndexedDB';
  readonly #database: IDBDatabase;

  constructor(database: IDBDatabase) {
    this.#database = database;
  }

  async read(name: string): Promise<Blob | undefined> {
    return (await done(this.#files('readonly').get(name))) as Blob | undefined;
  }

  async write(name: string, data: Blob): Promise<void> {
    const files = this.#files('readwrite');
    // Only a transaction that is complete is sure to stay.
    await new Promise<void>((resolve, reject) => {
      files.transaction.oncomplete = () => resolve();
      files.transaction.onabort = () => reject(files.transaction.error ?? new Error('IndexedDB gave a write up.'));
      files.put(data, name);
    });
  }

  async names(): Promise<string[]> {
    return (await done(this.#files('readonly').getAllKeys())).map(String);
  }

  async clear(): Promise<void> {
    await done(this.#files('readwrite').clear());
  }

  #files(mode: IDBTransactionMode): IDBObjectStore {
    return this.#database.transaction(FILES, mode).objectStore(FILES);
  }
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('IndexedDB: a request failed.'));
  });
}
