/**
 * Joins windows to the services. Every message is from outside: its sender and its form are checked.
 *
 * @spec   engine/contract/engine_api.ts; Electron's security checklist: validate the sender of all IPC messages
 * @cover  #Y one session a page, ended by reload, navigation and close; back-pressure by what the page has read
 * @differ none
 */
import type { IpcMain, IpcMainEvent, IpcMainInvokeEvent, WebContents } from 'electron';
import { isAppUrl } from './app_protocol.ts';
import { toProblem } from './problems.ts';
import type { Services, Session } from './services.ts';

interface Page {
  session: Session;
  /** Bytes of console output sent and not read yet. */
  unread: number;
}

export function connectWindows(ipcMain: Pick<IpcMain, 'on' | 'handle'>, services: Services): void {
  const pages = new Map<number, Page>();
  const end = (id: number): void => {
    pages.get(id)?.session.close();
    pages.delete(id);
  };

  ipcMain.on('acrn:hello', (event) => {
    if (!isOurPage(event)) return;
    const { sender } = event;
    if (!pages.has(sender.id)) sender.once('destroyed', () => end(sender.id));
    end(sender.id); // the page was loaded anew: what it had attached is over
    pages.set(sender.id, open(services, sender));
  });
  ipcMain.on('acrn:read', (event, bytes: unknown) => {
    const page = pages.get(event.sender.id);
    if (page !== undefined && isOurPage(event) && typeof bytes === 'number' && bytes > 0) page.unread = Math.max(0, page.unread - bytes);
  });
  ipcMain.handle('acrn:call', async (event, name: unknown, request: unknown) => {
    const page = pages.get(event.sender.id);
    if (page === undefined || !isOurPage(event)) {
      return { problem: { code: 'BAD_SENDER', what: 'The request was refused', why: 'it does not come from the window of ACRN Desktop', todo: 'Open the window anew' } };
    }
    try {
      return { reply: await page.session.call(name, request) };
    } catch (error) {
      return { problem: toProblem(error) };
    }
  });
}

function open(services: Services, sender: WebContents): Page {
  const page: Page = {
    unread: 0,
    session: services.connect({
      send: (event, data) => {
        if (sender.isDestroyed()) return;
        if (event === 'console.output') page.unread += (data as { data: string }).data.length;
        sender.send('acrn:event', event, data);
      },
      bufferedBytes: () => page.unread,
    }),
  };
  return page;
}

/** The main frame of our page, nothing embedded in it. */
function isOurPage(event: IpcMainEvent | IpcMainInvokeEvent): boolean {
  const { senderFrame, sender } = event;
  return senderFrame !== null && senderFrame === sender.mainFrame && isAppUrl(senderFrame.url);
}
