; The agent for hands: a page for server and code, in three languages; or
; silent: tillside-setup.exe /S /SERVER=… /KEY=… /TILL=… [/D=C:\folder].
; Copies, calls "tillside configure" and "tillside service install". Filled in
; by installer/cmd/tilldist (VERSION, FOUR, OUTFILE, LICENCE, the programs).

Unicode true
Target amd64-unicode
SetCompressor /SOLID lzma
SetDateSave off
RequestExecutionLevel admin
ManifestSupportedOS Win10
Name "Tillside"
OutFile "${OUTFILE}"
InstallDir "$PROGRAMFILES64\Tillside"
ShowInstDetails nevershow
ShowUninstDetails nevershow
BrandingText "Tillside ${VERSION}"

VIProductVersion "${FOUR}"
VIAddVersionKey "ProductName" "Tillside"
VIAddVersionKey "CompanyName" "Tillside"
VIAddVersionKey "FileDescription" "Tillside loyalty agent, installer"
VIAddVersionKey "FileVersion" "${VERSION}"
VIAddVersionKey "ProductVersion" "${VERSION}"
VIAddVersionKey "LegalCopyright" "Apache License 2.0"

!include MUI2.nsh
!include nsDialogs.nsh
!include LogicLib.nsh
!include FileFunc.nsh
!include WinVer.nsh
!include x64.nsh

!define UNINSTALL "Software\Microsoft\Windows\CurrentVersion\Uninstall\Tillside"

!ifdef SIGN
  !uninstfinalize '"${SIGN}" "%1"' = 0
!endif

Var Server
Var Key
Var Till
Var ServerField
Var KeyField
Var TillField

!insertmacro MUI_PAGE_WELCOME
Page custom ValuesPage ValuesLeave
!insertmacro MUI_PAGE_INSTFILES
!insertmacro MUI_PAGE_FINISH
!insertmacro MUI_UNPAGE_CONFIRM
!insertmacro MUI_UNPAGE_INSTFILES

!insertmacro MUI_LANGUAGE "English"
!insertmacro MUI_LANGUAGE "Russian"
!insertmacro MUI_LANGUAGE "Polish"
!include "words.nsh"

!macro refuseOldWindows
  ${IfNot} ${AtLeastWin10}
    MessageBox MB_ICONSTOP|MB_OK "$(OldWindows)" /SD IDOK
    SetErrorLevel 3
    Quit
  ${EndIf}
  ${IfNot} ${RunningX64}
    MessageBox MB_ICONSTOP|MB_OK "$(Only64)" /SD IDOK
    SetErrorLevel 3
    Quit
  ${EndIf}
!macroend

Function .onInit
  !insertmacro refuseOldWindows
  SetShellVarContext all
  SetRegView 64
  Push "/SERVER="
  Call option
  Pop $Server
  Push "/KEY="
  Call option
  Pop $Key
  Push "/TILL="
  Call option
  Pop $Till
FunctionEnd

; What follows a word of the command line, up to the next space, or up to the
; closing quote. The library's own ends a value at its first slash, and an
; address has two.
Function option
  Exch $0
  Push $1
  Push $2
  Push $3
  StrLen $2 $0
  ${GetParameters} $1
  find:
    StrCpy $3 $1 $2
    StrCmp $3 "" none
    StrCmp $3 $0 found
    StrCpy $1 $1 "" 1
    Goto find
  found:
    StrCpy $1 $1 "" $2
    StrCpy $0 ""
    StrCpy $2 " "
    StrCpy $3 $1 1
    StrCmp $3 '"' 0 next
    StrCpy $2 '"'
    StrCpy $1 $1 "" 1
  next:
    StrCpy $3 $1 1
    StrCmp $3 "" done
    StrCmp $3 $2 done
    StrCpy $0 "$0$3"
    StrCpy $1 $1 "" 1
    Goto next
  none:
    StrCpy $0 ""
  done:
  Pop $3
  Pop $2
  Pop $1
  Exch $0
FunctionEnd

Function ValuesPage
  !insertmacro MUI_HEADER_TEXT "$(ValuesTitle)" "$(ValuesText)"
  nsDialogs::Create 1018
  Pop $0
  ${NSD_CreateLabel} 0 0 100% 10u "$(ServerLabel)"
  Pop $0
  ${NSD_CreateText} 0 11u 100% 13u "$Server"
  Pop $ServerField
  ${NSD_CreateLabel} 0 32u 100% 10u "$(KeyLabel)"
  Pop $0
  ${NSD_CreateText} 0 43u 60% 13u "$Key"
  Pop $KeyField
  ${NSD_CreateLabel} 0 64u 100% 10u "$(TillLabel)"
  Pop $0
  ${NSD_CreateText} 0 75u 60% 13u "$Till"
  Pop $TillField
  ${NSD_CreateLabel} 0 100u 100% 24u "$(LaterLabel)"
  Pop $0
  nsDialogs::Show
FunctionEnd

Function ValuesLeave
  ${NSD_GetText} $ServerField $Server
  ${NSD_GetText} $KeyField $Key
  ${NSD_GetText} $TillField $Till
FunctionEnd

; What a program said is shown, never logged.
!macro say COMMAND
  nsExec::ExecToStack '${COMMAND}'
  Pop $0
  Pop $1
!macroend

Section "Tillside"
  SetOutPath "$INSTDIR"
  IfFileExists "$INSTDIR\tillside.exe" 0 fresh
    !insertmacro say '"$INSTDIR\tillside.exe" service stop'
    ; The program before this one, for the case that this one does not start.
    Delete "$INSTDIR\tillside.before.exe"
    Rename "$INSTDIR\tillside.exe" "$INSTDIR\tillside.before.exe"
  fresh:
  File "tillside.exe"
  File "LICENSE.txt"
  WriteUninstaller "$INSTDIR\uninstall.exe"
  WriteRegStr HKLM "${UNINSTALL}" "DisplayName" "Tillside"
  WriteRegStr HKLM "${UNINSTALL}" "DisplayVersion" "${VERSION}"
  WriteRegStr HKLM "${UNINSTALL}" "Publisher" "Tillside"
  WriteRegStr HKLM "${UNINSTALL}" "InstallLocation" "$INSTDIR"
  WriteRegStr HKLM "${UNINSTALL}" "UninstallString" '"$INSTDIR\uninstall.exe"'
  WriteRegStr HKLM "${UNINSTALL}" "QuietUninstallString" '"$INSTDIR\uninstall.exe" /S'
  WriteRegDWORD HKLM "${UNINSTALL}" "NoModify" 1
  WriteRegDWORD HKLM "${UNINSTALL}" "NoRepair" 1

  !insertmacro say '"$INSTDIR\tillside.exe" service install'
  ${If} $0 != 0
    StrCpy $2 "$1"
    Goto failed
  ${EndIf}
  !insertmacro say '"$INSTDIR\tillside.exe" configure --package-step --package "$EXEPATH" --server "$Server" --code "$Key" --till "$Till"'
  ${If} $0 != 0
    MessageBox MB_ICONEXCLAMATION|MB_OK "$(NotEnrolled)$\r$\n$\r$\n$1" /SD IDOK
  ${EndIf}
  !insertmacro say '"$INSTDIR\tillside.exe" service start'
  ${If} $0 == 0
    Delete "$INSTDIR\tillside.before.exe"
    Goto done
  ${EndIf}
  StrCpy $2 "$1"
  failed:
  IfFileExists "$INSTDIR\tillside.before.exe" 0 nothingBefore
    Delete "$INSTDIR\tillside.exe"
    Rename "$INSTDIR\tillside.before.exe" "$INSTDIR\tillside.exe"
    !insertmacro say '"$INSTDIR\tillside.exe" service start'
    MessageBox MB_ICONSTOP|MB_OK "$(WentBack)$\r$\n$\r$\n$2" /SD IDOK
    SetErrorLevel 5
    Quit
  nothingBefore:
    MessageBox MB_ICONEXCLAMATION|MB_OK "$(NotStarted)$\r$\n$\r$\n$2" /SD IDOK
    SetErrorLevel 5
  done:
SectionEnd

Function un.onInit
  SetShellVarContext all
  SetRegView 64
FunctionEnd

Section "Uninstall"
  StrCpy $3 ""
  ${GetParameters} $R0
  ClearErrors
  ${GetOptions} $R0 "/PURGE" $R1
  ${IfNot} ${Errors}
    StrCpy $3 "--purge"
  ${EndIf}
  ; Says how many receipts the centre does not have; they stay without /PURGE.
  !insertmacro say '"$INSTDIR\tillside.exe" service uninstall $3'
  MessageBox MB_ICONINFORMATION|MB_OK "$1" /SD IDOK
  Delete "$INSTDIR\tillside.exe"
  Delete "$INSTDIR\tillside.before.exe"
  Delete "$INSTDIR\LICENSE.txt"
  Delete "$INSTDIR\uninstall.exe"
  RMDir "$INSTDIR"
  DeleteRegKey HKLM "${UNINSTALL}"
SectionEnd
